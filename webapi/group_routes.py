"""Groups, their members and links; and one's own quiet. Pages from the database, everything else from the relay."""

from typing import Any

import msgspec

from bridge.group_checks import group_of
from pabal import messages as m
from pabal.acl import RECEIVE, check_right
from pabal.ids import ConvId, direct, parse_conv, parse_user
from webapi import group_schemas as g
from webapi import schemas as s
from webapi.asking import ask
from webapi.ports import Reads, RelayClient
from webapi.routing import Answer, Api, Call, View

_GROUP = "/v1/groups/<conv>"
_MEMBER = "/v1/groups/<conv>/members/<user>"
_QUIET = "/v1/conversations/<conv>/mute"


class GroupRoutes:
    """The views; `register` says which call each of them answers."""

    def __init__(self, reads: Reads, relay: RelayClient) -> None:
        self._reads = reads
        self._relay = relay

    def register(self, api: Api) -> None:
        done: dict[int, type | None] = {200: s.CommittedBody}
        made: dict[int, type | None] = {200: s.CommittedBody, 201: s.CommittedBody}
        routes: tuple[tuple[str, str, View, dict[int, type | None], type | None], ...] = (
            ("POST", "/v1/groups", self.create_group, made, g.CreateGroupBody),
            ("GET", _GROUP, self.show_group, {200: g.GroupBody}, g.MembersQuery),
            ("PATCH", _GROUP, self.update_group, done, g.UpdateGroupBody),
            ("DELETE", _GROUP, self.dissolve_group, done, g.IdQuery),
            ("GET", f"{_GROUP}/members", self.list_members, {200: g.MembersBody}, g.MembersQuery),
            ("PUT", _MEMBER, self.put_member, done, g.MemberBody),
            ("DELETE", _MEMBER, self.remove_member, done, g.IdQuery),
            ("PUT", f"{_MEMBER}/mute", self.silence_member, done, g.SilenceBody),
            ("DELETE", f"{_MEMBER}/mute", self.unsilence_member, done, g.IdQuery),
            ("POST", f"{_GROUP}/invites", self.make_invite, {201: g.InvitedBody}, g.InviteBody),
            ("GET", f"{_GROUP}/invites", self.list_invites, {200: g.InvitesBody}, None),
            ("DELETE", f"{_GROUP}/invites/<code>", self.end_invite, {204: None}, None),
            ("POST", "/v1/invites/<code>", self.join_group, made, g.JoinBody),
            ("PUT", _QUIET, self.mute_conversation, {204: None}, g.MuteBody),
            ("DELETE", _QUIET, self.unmute_conversation, {204: None}, None),
        )
        for method, path, view, answers, asked in routes:
            api.route(
                method,
                path,
                view,
                answers,
                tag="groups",
                body=None if method in {"GET", "DELETE"} else asked,
                query=asked if method in {"GET", "DELETE"} else None,
                refuses=(403, 404, 409),
                # All that these bodies say has a default.
                may_be_empty=method == "PUT" or "/invites" in path,
            )

    def create_group(self, call: Call) -> Answer:
        """A new group, owned by who makes it."""
        body: g.CreateGroupBody = call.body
        return self._committed(
            call,
            m.GroupCreate(
                id=body.id, name=body.name, members=body.members, history=body.history, posting=body.posting
            ),
            new=201,
        )

    def show_group(self, call: Call) -> Answer:
        """The group, and its first members by name."""
        return Answer(200, msgspec.convert(self._page(call), g.GroupBody))

    def update_group(self, call: Call) -> Answer:
        """Another name, or other settings."""
        body: g.UpdateGroupBody = call.body
        request = m.GroupUpdate(
            id=body.id,
            conv=group_of(call.path["conv"]),
            name=body.name,
            history=body.history,
            posting=body.posting,
        )
        return self._committed(call, request)

    def dissolve_group(self, call: Call) -> Answer:
        """Everybody is told, and then nobody is a member."""
        return self._committed(call, m.GroupDissolve(id=call.query.id, conv=group_of(call.path["conv"])))

    def list_members(self, call: Call) -> Answer:
        """The members of a group, by name."""
        return Answer(200, msgspec.convert(self._page(call), g.MembersBody))

    def put_member(self, call: Call) -> Answer:
        """One more member, or another role for one who is a member."""
        body: g.MemberBody = call.body
        return self._committed(
            call, m.GroupAdd(id=body.id, conv=group_of(call.path["conv"]), user=_user(call), role=body.role)
        )

    def remove_member(self, call: Call) -> Answer:
        """One member less; oneself: leave."""
        conv = group_of(call.path["conv"])
        return self._committed(call, m.GroupRemove(id=call.query.id, conv=conv, user=_user(call)))

    def silence_member(self, call: Call) -> Answer:
        """This member may not write, until then or for good."""
        body: g.SilenceBody = call.body
        return self._committed(
            call,
            m.GroupMute(id=body.id, conv=group_of(call.path["conv"]), user=_user(call), until=body.until),
        )

    def unsilence_member(self, call: Call) -> Answer:
        """This member may write again."""
        conv = group_of(call.path["conv"])
        return self._committed(call, m.GroupMute(id=call.query.id, conv=conv, user=_user(call), remove=True))

    def make_invite(self, call: Call) -> Answer:
        """A code by which others join."""
        body: g.InviteBody = call.body
        request = m.GroupInvite(
            id=body.id, conv=group_of(call.path["conv"]), expires_in=body.expires_in, uses=body.uses
        )
        made = msgspec.json.decode(self._ask(call, request), type=m.Invited)
        return Answer(201, g.InvitedBody(code=made.code, expires=made.expires, uses=made.uses))

    def list_invites(self, call: Call) -> Answer:
        """The codes that are good, for the owner and admins."""
        call.must(RECEIVE)
        page = self._reads.invites(call.login.user, group_of(call.path["conv"]))
        return Answer(200, msgspec.json.decode(page, type=g.InvitesBody))

    def end_invite(self, call: Call) -> Answer:
        """This code is good for nothing from here on."""
        self._ask(call, m.GroupUninvite(conv=group_of(call.path["conv"]), code=call.path["code"]))
        return Answer(204, None)

    def join_group(self, call: Call) -> Answer:
        """Into the group that invites by this code; the answer says which it is."""
        body: g.JoinBody = call.body
        return self._committed(call, m.GroupJoin(id=body.id, code=call.path["code"]), new=201)

    def mute_conversation(self, call: Call) -> Answer:
        """No notifications of this conversation for oneself. `@name` is the one with that user."""
        body: g.MuteBody = call.body
        self._ask(call, m.Mute(conv=_conv(call), until=body.until))
        return Answer(204, None)

    def unmute_conversation(self, call: Call) -> Answer:
        """Notifications again. `@name` is the conversation with that user."""
        self._ask(call, m.Mute(conv=_conv(call), remove=True))
        return Answer(204, None)

    def _page(self, call: Call) -> dict[str, Any]:
        query: g.MembersQuery = call.query
        call.must(RECEIVE)
        after = None if query.after is None else parse_user(query.after, field="after")
        page: dict[str, Any] = msgspec.json.decode(
            self._reads.group(call.login.user, group_of(call.path["conv"]), after, query.limit)
        )
        return page

    def _committed(self, call: Call, request: m.AnyRequest, *, new: int = 200) -> Answer:
        done = msgspec.json.decode(self._ask(call, request), type=m.Committed)
        body = s.CommittedBody(conv=done.conv, message_id=done.message_id, ts=done.ts, dup=done.dup)
        return Answer(200 if done.dup else new, body)

    def _ask(self, call: Call, request: m.AnyRequest) -> bytes:
        check_right(call.login.allow, request)
        return ask(self._relay, call, request, msgspec.to_builtins(request))


def _conv(call: Call) -> ConvId:
    """Raises: BadRequest."""
    named = call.path["conv"]
    if named.startswith("@"):
        return direct(call.login.user, parse_user(named[1:], field="conv"))
    return parse_conv(named)


def _user(call: Call) -> str:
    """Raises: BadRequest."""
    return parse_user(call.path["user"])
