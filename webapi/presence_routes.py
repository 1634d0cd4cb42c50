"""Who is online: looked up where the relay shows it to other processes, and else asked of the relay itself."""

import uuid
from collections.abc import Sequence

import msgspec

from bridge.backplane.mirror import States
from pabal import errors
from pabal import messages as m
from pabal.acl import RECEIVE
from pabal.errors import BadRequest, Unavailable
from pabal.ids import UserId, parse_user
from webapi import schemas as s
from webapi.ports import Reads, RelayClient
from webapi.routing import Answer, Api, Call


class _Reply(msgspec.Struct, frozen=True):
    ok: bool
    presence: list[m.UserPresence] = []


class PresenceRoutes:
    """The view; `register` says which call it answers."""

    def __init__(self, relay: RelayClient, reads: Reads, states: States) -> None:
        self._relay = relay
        self._reads = reads
        self._states = states

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
        states = self._states(users)
        if states is None:
            content = self._ask(call, users)
        else:
            content = self._reads.presence(call.login.user, users, lambda user: states.get(user, "offline"))
        reply = msgspec.json.decode(content, type=_Reply)
        if not reply.ok:
            refused = msgspec.json.decode(content, type=m.Refused)
            kind = errors.BY_CODE.get(refused.error, Unavailable)
            raise kind(refused.detail, retry_after=refused.retry_after)
        return Answer(200, s.PresenceBody(presence=reply.presence))

    def _ask(self, call: Call, users: Sequence[UserId]) -> bytes:
        request = {"op": "presence", "id": str(uuid.uuid4()), "users": users}
        return self._relay.ask(call.login.user, call.login.device, msgspec.json.encode(request))
