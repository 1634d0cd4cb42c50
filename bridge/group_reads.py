"""What members may know about their group, and those who run it about its links."""

from bridge.group_rules import MEMBER
from bridge.store.group_queries import GroupQueries
from pabal import codec
from pabal import messages as m
from pabal.errors import Forbidden, NotAMember, NotFound
from pabal.ids import ConvId, UserId


def group_page(
    queries: GroupQueries, user: UserId, conv: ConvId, after: str | None, limit: int, now: int, re: str | None
) -> bytes:
    """A GroupPage. Raises: NotFound, NotAMember."""
    found = queries.group(conv)
    if found is None:
        raise NotFound("no such group", field="conv")
    _check_member(queries, user, conv)
    listed = queries.members(conv, after or "", limit + 1)
    members = [
        m.GroupMember(user=one, role=role, muted_until=until if until is not None and until > now else None)
        for one, role, until in listed[:limit]
    ]
    name, mode, history, posting = found
    return codec.encode(
        m.GroupPage(
            re=re,
            conv=conv,
            name=name or "",
            mode=mode,
            history=history,
            posting=posting,
            members=members,
            more=len(listed) > limit,
        )
    )


def invite_page(queries: GroupQueries, user: UserId, conv: ConvId, now: int, re: str | None) -> bytes:
    """An InvitePage. Raises: NotFound, NotAMember, Forbidden."""
    if queries.group(conv) is None:
        raise NotFound("no such group", field="conv")
    if _check_member(queries, user, conv) == MEMBER:
        raise Forbidden("only the owner and admins see the links of a group")
    invites = [
        m.Invite(
            code=code,
            by=by,
            ts=ts,
            expires=expires,
            uses=None if uses is None else uses - used,
            used=used,
        )
        for code, by, ts, expires, uses, used in queries.invites(conv)
        if (expires is None or now < expires) and (uses is None or used < uses)
    ]
    return codec.encode(m.InvitePage(re=re, conv=conv, invites=invites))


def _check_member(queries: GroupQueries, user: UserId, conv: ConvId) -> str:
    """The role. Raises: NotAMember."""
    role = queries.role(conv, user)
    if role is None:
        raise NotAMember("you are not in this group", field="conv")
    return role
