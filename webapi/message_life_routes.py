"""What becomes of a message that is there: edits, recalls, deleting for oneself, reactions; all asked of the relay."""

from typing import Any

import msgspec
from msgspec import Raw

from pabal import codec
from pabal import messages as m
from pabal.acl import check_right
from pabal.errors import BadRequest, Conflict
from pabal.ids import ConvId, direct, parse_conv, parse_user
from webapi import schemas as s
from webapi.asking import ask
from webapi.ports import RelayClient
from webapi.routing import Answer, Api, Call

_MESSAGE = "/v1/conversations/<conv>/messages/<message_id>"
_REACTION = f"{_MESSAGE}/reactions/<emoji>"
_LONGEST = len(str(m.MAX_NUMBER))


class MessageLifeRoutes:
    """The views; `register` says which call each of them answers."""

    def __init__(self, relay: RelayClient) -> None:
        self._relay = relay

    def register(self, api: Api) -> None:
        api.route(
            "PATCH",
            _MESSAGE,
            self.edit_message,
            {200: s.CommittedBody},
            tag="messages",
            body=s.EditBody,
            refuses=(403, 404, 409),
        )
        api.route(
            "DELETE",
            _MESSAGE,
            self.delete_message,
            {200: s.CommittedBody, 204: None},
            tag="messages",
            query=s.DeleteQuery,
            refuses=(403, 404, 409, 413),
        )
        api.route(
            "PUT",
            _REACTION,
            self.add_reaction,
            {200: s.CommittedBody, 204: None},
            tag="messages",
            query=s.ReactionQuery,
            refuses=(403, 404, 409, 413),
        )
        api.route(
            "DELETE",
            _REACTION,
            self.remove_reaction,
            {200: s.CommittedBody},
            tag="messages",
            query=s.ReactionQuery,
            refuses=(403, 404, 409, 413),
        )

    def edit_message(self, call: Call) -> Answer:
        """Another content for one's own message: `text`, `body` or both; what is left out is gone from it."""
        given: dict[str, Raw] = msgspec.json.decode(call.raw, type=dict[str, Raw])
        fields: dict[str, Any] = {name: given[name] for name in ("id", "text", "body") if name in given}
        return _committed(self._ask(call, {**fields, "op": "edit"}))

    def delete_message(self, call: Call) -> Answer:
        """Recall a message, for everybody; with `for=me` only hide it from oneself (204)."""
        query: s.DeleteQuery = call.query
        if query.for_ == "me":
            self._ask(call, {"op": "delete", "id": query.id})
            return Answer(204, None)
        return _committed(self._ask(call, {"op": "recall", "id": query.id}))

    def add_reaction(self, call: Call) -> Answer:
        """React to a message. 204 where one had reacted so already."""
        try:
            return _committed(self._ask(call, self._reaction(call)))
        except Conflict as error:
            if not error.detail.startswith("emoji:"):
                raise
        return Answer(204, None)

    def remove_reaction(self, call: Call) -> Answer:
        """Take a reaction back."""
        return _committed(self._ask(call, {**self._reaction(call), "remove": True}))

    def _reaction(self, call: Call) -> dict[str, Any]:
        query: s.ReactionQuery = call.query
        return {"op": "react", "id": query.id, "emoji": call.path["emoji"]}

    def _ask(self, call: Call, fields: dict[str, Any]) -> bytes:
        """Raises: BadRequest, TooLarge, Forbidden; whatever the relay refuses with."""
        fields |= {"conv": _conv(call), "target": message_id_of(call)}
        request = codec.decode_request(msgspec.json.encode(fields))
        if isinstance(request, codec.Rejected):
            raise request.error
        check_right(call.login.allow, request)
        return ask(self._relay, call, request, fields)


def _committed(reply: bytes) -> Answer:
    done = msgspec.json.decode(reply, type=m.Committed)
    return Answer(200, s.CommittedBody(conv=done.conv, message_id=done.message_id, ts=done.ts, dup=done.dup))


def _conv(call: Call) -> ConvId:
    """`@name` is the conversation with that user. Raises: BadRequest."""
    named = call.path["conv"]
    if named.startswith("@"):
        return direct(call.login.user, parse_user(named[1:], field="conv"))
    return parse_conv(named)


def message_id_of(call: Call) -> int:
    """The number in the path. Raises: BadRequest."""
    text = call.path["message_id"]
    if text.isascii() and text.isdecimal() and len(text) <= _LONGEST:
        number = int(text)
        if 1 <= number <= m.MAX_NUMBER:
            return number
    raise BadRequest("a message's number, from 1 on", field="message_id")
