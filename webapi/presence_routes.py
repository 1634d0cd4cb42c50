"""Who is online: asked of the relay, which is told by the broker."""

import uuid

import msgspec

from pabal import errors
from pabal import messages as m
from pabal.acl import RECEIVE
from pabal.errors import BadRequest, Unavailable
from pabal.ids import parse_user
from webapi import schemas as s
from webapi.ports import RelayClient
from webapi.routing import Answer, Api, Call


class _Reply(msgspec.Struct, frozen=True):
    ok: bool
    presence: list[m.UserPresence] = []


class PresenceRoutes:
    """The view; `register` says which call it answers."""

    def __init__(self, relay: RelayClient) -> None:
        self._relay = relay

    def register(self, api: Api) -> None:
        api.route(
            "GET",
            "/v1/presence",
            self.presence,
            {200: s.PresenceBody},
            tag="people",
            query=s.PresenceQuery,
            refuses=(403,),
        )

    def presence(self, call: Call) -> Answer:
        """What users are doing, as far as each of them shows it to the caller, in the order of the question."""
        query: s.PresenceQuery = call.query
        call.must(RECEIVE)
        users = [parse_user(name, field="users") for name in query.users.split(",")]
        if len(users) > m.MAX_PRESENCE_USERS:
            raise BadRequest(f"at most {m.MAX_PRESENCE_USERS} users", field="users")
        request = {"op": "presence", "id": str(uuid.uuid4()), "users": users}
        content = self._relay.ask(call.login.user, call.login.device, msgspec.json.encode(request))
        reply = msgspec.json.decode(content, type=_Reply)
        if not reply.ok:
            refused = msgspec.json.decode(content, type=m.Refused)
            kind = errors.BY_CODE.get(refused.error, Unavailable)
            raise kind(refused.detail, retry_after=refused.retry_after)
        return Answer(200, s.PresenceBody(presence=reply.presence))
