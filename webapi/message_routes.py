"""Conversations, messages, requests and sync: pages from the database, everything else asked of the relay."""

import time
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw

from bridge.accounts.service import Accounts
from pabal import codec
from pabal import messages as m
from pabal.acl import RECEIVE, SEND, check_right
from pabal.errors import BadRequest, PabalError
from pabal.ids import direct, parse_conv, parse_user
from webapi import problems
from webapi import schemas as s
from webapi.asking import ask
from webapi.ports import Reads, RelayClient
from webapi.routing import Answer, Api, Call
from webapi.wakeups import Wakeups

# What the path says, and not the body.
_SAID_BY_THE_PATH = frozenset({"to", "conv", "op"})


class RequestRefusedError(Exception):
    """A refusal of `POST /v1/requests`, which also has the fields of an MQTT reply."""

    def __init__(self, error: PabalError, re_: str | None) -> None:
        super().__init__(error.detail)
        self.error = error
        self.re = re_


class _Page(msgspec.Struct, frozen=True):
    head: int
    items: list[Raw] = []
    reset: bool = False


class MessageRoutes:
    """The views; `register` says which call each of them answers."""

    def __init__(self, accounts: Accounts, reads: Reads, relay: RelayClient, wakeups: Wakeups) -> None:
        self._accounts = accounts
        self._reads = reads
        self._relay = relay
        self._wakeups = wakeups

    def register(self, api: Api) -> None:
        api.route(
            "GET",
            "/v1/conversations",
            self.list_conversations,
            {200: s.ConversationsBody},
            tag="messages",
            query=s.ConversationsQuery,
            refuses=(403,),
        )
        api.route(
            "GET",
            "/v1/conversations/<conv>/messages",
            self.history,
            {200: s.HistoryBody},
            tag="messages",
            query=s.HistoryQuery,
            refuses=(403, 404),
        )
        api.route(
            "POST",
            "/v1/conversations/<conv>/messages",
            self.send,
            {200: s.CommittedBody, 201: s.CommittedBody},
            tag="messages",
            body=s.SendBody,
            refuses=(403, 404, 409),
        )
        api.route(
            "POST",
            "/v1/requests",
            self.request,
            {200: s.ReplyBody},
            tag="messages",
            body=dict[str, Raw],
            described_as=s.RequestBody,
            refuses=(403, 404, 409),
            problem=s.RequestProblem,
        )
        api.route(
            "GET",
            "/v1/sync",
            self.sync,
            {200: s.SyncBody},
            tag="messages",
            query=s.SyncQuery,
            refuses=(403,),
        )

    def list_conversations(self, call: Call) -> Answer:
        """The conversations that one is in, by id."""
        query: s.ConversationsQuery = call.query
        call.must(RECEIVE)
        after = None if query.after is None else parse_conv(query.after, field="after")
        return Answer(200, _bare(self._reads.conversations(call.login.user, after, query.limit)))

    def history(self, call: Call) -> Answer:
        """A page of a conversation, the newest state of each message. `@name` is the one with that user."""
        query: s.HistoryQuery = call.query
        call.must(RECEIVE)
        if query.before is not None and query.after is not None:
            raise BadRequest("not together with 'after'", field="before")
        user, named = call.login.user, call.path["conv"]
        if named.startswith("@"):
            conv = direct(user, parse_user(named[1:], field="conv"))
        else:
            conv = parse_conv(named)
        return Answer(200, _bare(self._reads.history(user, conv, query.before, query.after, query.limit)))

    def send(self, call: Call) -> Answer:
        """Send a message. 200 where this device's request of that `id` was committed before (`dup`)."""
        call.must(SEND)
        named = call.path["conv"]
        given: dict[str, Raw] = msgspec.json.decode(call.raw, type=dict[str, Raw])
        # Also what is not built yet, so that the relay refuses it; dropping it here would do something else.
        fields: dict[str, object] = {
            key: value for key, value in given.items() if key not in _SAID_BY_THE_PATH
        }
        if named.startswith("@"):
            fields["to"] = parse_user(named[1:], field="conv")
        else:
            fields["conv"] = parse_conv(named)
        request = _read(msgspec.json.encode(fields))
        reply = ask(self._relay, call, request, fields)
        done = msgspec.json.decode(reply, type=m.Committed)
        body = s.CommittedBody(conv=done.conv, message_id=done.message_id, ts=done.ts, dup=done.dup)
        return Answer(200 if done.dup else 201, body)

    def request(self, call: Call) -> Answer:
        """Any request of the protocol and its reply. A refusal is its problem document, with `re`, `ok` and
        `error` in it as on MQTT.
        """
        fields: dict[str, Any] = call.body
        re_: str | None = None
        try:
            request = _read(call.raw)
            re_ = request.id
            check_right(call.login.allow, request)
            reply = msgspec.json.decode(ask(self._relay, call, request, fields), type=dict[str, Raw])
        except PabalError as error:
            raise RequestRefusedError(error, re_ or _id_of(fields)) from error
        reply["re"] = Raw(msgspec.json.encode(re_))
        return Answer(200, msgspec.json.encode(reply))

    def sync(self, call: Call) -> Answer:
        """A page of the inbox above `after`. With `wait` it comes as soon as there is something in it."""
        query: s.SyncQuery = call.query
        call.must(RECEIVE)
        user = call.login.user
        deadline = time.monotonic() + query.wait

        def read() -> tuple[bytes, _Page]:
            content = self._reads.sync(user, query.after, query.epoch, query.limit)
            return content, msgspec.json.decode(content, type=_Page)

        content, page = read()
        if query.wait and _is_empty(page):
            with self._wakeups.place():
                content = self._wait(call, page, deadline, read)
        return Answer(200, _bare(content))

    def _wait(
        self, call: Call, page: _Page, deadline: float, read: Callable[[], tuple[bytes, _Page]]
    ) -> bytes:
        while True:
            woken = self._wakeups.wait(call.login.user, page.head, deadline)
            # The device may have been logged out meanwhile.
            self._accounts.check_live(call.login)
            content, page = read()
            if not woken or not _is_empty(page):
                return content


def install_refusals(app: Any) -> None:
    """Let the application answer refused requests."""
    app.register_error_handler(RequestRefusedError, _of_request)


def _of_request(refused: RequestRefusedError) -> Any:
    extra = {"re": refused.re, "ok": False, "error": refused.error.code}
    return problems.of_error(refused.error, extra)


def _read(content: bytes) -> m.AnyRequest:
    """Raises: BadRequest, TooLarge, as the codec says."""
    request = codec.decode_request(content)
    if isinstance(request, codec.Rejected):
        raise request.error
    return request


def _id_of(fields: dict[str, Any]) -> str | None:
    try:
        return msgspec.json.decode(fields["id"], type=m.RequestIdText)
    except (KeyError, msgspec.DecodeError):
        return None


def _bare(page: bytes) -> bytes:
    """A page without what only a reply on MQTT needs."""
    fields = msgspec.json.decode(page, type=dict[str, Raw])
    fields.pop("re", None)
    fields.pop("ok", None)
    return msgspec.json.encode(fields)


def _is_empty(page: _Page) -> bool:
    return not page.items and not page.reset
