"""How far one has read, and that one is writing; both asked of the relay."""

import msgspec

from pabal import messages as m
from pabal.acl import RECEIVE, SEND
from pabal.ids import ConvId, direct, parse_conv, parse_user
from webapi import schemas as s
from webapi.asking import ask
from webapi.ports import RelayClient
from webapi.routing import Answer, Api, Call


class ReceiptRoutes:
    """The views; `register` says which call each of them answers."""

    def __init__(self, relay: RelayClient) -> None:
        self._relay = relay

    def register(self, api: Api) -> None:
        api.route(
            "POST",
            "/v1/conversations/<conv>/read",
            self.mark_read,
            {204: None},
            tag="messages",
            body=s.ReadBody,
            refuses=(403, 404),
        )
        api.route(
            "POST",
            "/v1/conversations/<conv>/typing",
            self.say_typing,
            {204: None},
            tag="messages",
            body=s.TypingBody,
            refuses=(403, 404),
        )

    def mark_read(self, call: Call) -> Answer:
        """Read up to this message; never goes back. `@name` is the conversation with that user."""
        call.must(RECEIVE)
        body: s.ReadBody = call.body
        self._ask(call, m.Read(conv=_conv(call), message_id=body.message_id))
        return Answer(204, None)

    def say_typing(self, call: Call) -> Answer:
        """Tell the others at once that one is writing, or no longer is. `@name` as for reading."""
        call.must(SEND)
        body: s.TypingBody = call.body
        self._ask(call, m.Typing(conv=_conv(call), on=body.on))
        return Answer(204, None)

    def _ask(self, call: Call, request: m.AnyRequest) -> None:
        ask(self._relay, call, request, msgspec.to_builtins(request))


def _conv(call: Call) -> ConvId:
    """Raises: BadRequest."""
    named = call.path["conv"]
    if named.startswith("@"):
        return direct(call.login.user, parse_user(named[1:], field="conv"))
    return parse_conv(named)
