"""What only groups have in the one transaction: who is silenced or wants quiet, and links that invite."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, TextClause, text

from bridge.facts import Facts, Wanted, want_join
from bridge.group_facts import Invite
from bridge.plan import Plan
from bridge.store.dialect import Dialect, rows
from pabal.ids import ConvId, UserId

Each = Callable[[TextClause, Sequence[Any]], Iterable[Any]]
# Links that are good for nothing are known for so long, so that a request which comes again finds its link.
KEEP_MS = 30 * 24 * 3600 * 1000
_INVITE = "i.code, i.conv_id, i.digest, i.expires_ts, i.uses, i.created_by, i.used, i.ended_ts IS NOT NULL"


class GroupStatements:
    """Look-ups take a JSON array `keys`, writes a JSON array `rows`."""

    def __init__(self, d: Dialect) -> None:
        self.load_invites = text(f"SELECT {_INVITE} FROM invite AS i WHERE i.code {d.among('keys')}")
        self.load_open = text(
            f"SELECT {_INVITE} FROM invite AS i WHERE i.conv_id {d.among('keys')} AND i.ended_ts IS NULL"
        )
        self.load_made = text(
            f"SELECT {_INVITE}, i.created_by, i.device, i.id FROM {d.each('keys')} CROSS JOIN invite AS i"
            f" WHERE i.conv_id = {d.field(0)} AND i.created_by = {d.field(1)}"
            f" AND i.device = {d.field(2)} AND i.id = {d.field(3)}"
        )
        self.count_members = text(
            "SELECT conv_id, count(*) FROM member"
            f" WHERE conv_id {d.among('keys')} AND to_id IS NULL GROUP BY conv_id"
        )
        self.load_silenced = _load_of_members(d, "silenced_until", "AND m.silenced_until IS NOT NULL")
        self.load_muted = _load_of_members(d, "muted_until", "AND m.to_id IS NULL")
        self.change_roles = text(
            f"UPDATE member SET role = {d.field(2)} FROM {d.each('rows')}"
            f" WHERE member.conv_id = {d.field(0)} AND member.user_id = {d.field(1)}"
        )
        self.change_silenced = _change_of_members(d, "silenced_until")
        self.change_muted = _change_of_members(d, "muted_until")
        self.insert_invites = text(
            "INSERT INTO invite (code, conv_id, created_by, device, id, digest, created_ts, expires_ts, uses, used)"
            f" SELECT {d.fields('text', 'text', 'text', 'text', 'text', 'text', 'bigint', 'bigint', 'bigint')}, 0"
            f" FROM {d.each('rows')}"
        )
        self.use_invites = text(
            f"UPDATE invite SET used = {d.field(1, 'bigint')} FROM {d.each('rows')}"
            f" WHERE invite.code = {d.field(0)}"
        )
        self.end_invites = text(
            f"UPDATE invite SET ended_ts = {d.field(1, 'bigint')} FROM {d.each('rows')}"
            f" WHERE invite.code = {d.field(0)}"
        )
        self.forget_invites = text(
            f"DELETE FROM invite WHERE conv_id {d.among('keys')} AND ended_ts < :before"
        )


def _load_of_members(d: Dialect, column: str, only: str) -> TextClause:
    return text(
        f"SELECT m.conv_id, m.user_id, m.{column} FROM {d.each('keys')} CROSS JOIN member AS m"
        f" WHERE m.conv_id = {d.field(0)} AND m.user_id = {d.field(1)} {only}"
    )


def _change_of_members(d: Dialect, column: str) -> TextClause:
    return text(
        f"UPDATE member SET {column} = {d.field(2, 'bigint')} FROM {d.each('rows')}"
        f" WHERE member.conv_id = {d.field(0)} AND member.user_id = {d.field(1)}"
    )


def load_invites(sql: GroupStatements, each: Each, facts: Facts, keys: Wanted) -> None:
    """Before anything is locked, because only their codes say which groups are joined. Links are written by this
    one committer alone, so that nobody changes them meanwhile.
    """
    for row in each(sql.load_invites, sorted(keys.group.codes)):
        _remember(facts, row)
    for code, user, device, request_id in keys.group.joins:
        invite = facts.group.invites.get(code)
        if invite is not None:
            want_join(keys, invite.conv, user, device, request_id)
            keys.accounts.add(invite.by)
            keys.people.meet(user, [invite.by])


def load_groups(sql: GroupStatements, each: Each, facts: Facts, keys: Wanted) -> None:
    """What else a batch needs to know of groups, under the lock."""
    wanted, group = keys.group, facts.group
    for *row, by, device, id_ in each(sql.load_made, wanted.made):
        invite = _remember(facts, row)
        group.made[invite.conv, by, device, id_] = invite
    for row in each(sql.load_open, sorted(wanted.open)):
        invite = _remember(facts, row)
        group.open.setdefault(invite.conv, []).append(invite)
    large = [conv for conv in sorted(wanted.counted) if _is_large(facts, conv)]
    group.counts.update(dict.fromkeys(large, 0))
    for conv, count in each(sql.count_members, large):
        group.counts[ConvId(conv)] = count
    for conv, user, until in each(sql.load_silenced, sorted(wanted.former)):
        group.silenced[ConvId(conv), UserId(user)] = until
    for conv, user, until in each(sql.load_muted, sorted(wanted.muted)):
        group.muted[ConvId(conv), UserId(user)] = until


def _remember(facts: Facts, row: Sequence[Any]) -> Invite:
    """One value for each code, however many look-ups find it."""
    code, conv, digest, expires, uses, by, used, ended = row
    invite = Invite(code, ConvId(conv), digest, expires, uses, UserId(by), used, bool(ended))
    return facts.group.invites.setdefault(code, invite)


def _is_large(facts: Facts, conv: ConvId) -> bool:
    state = facts.conversations.get(conv)
    return state is not None and state.is_large


def write(connection: Connection, sql: GroupStatements, plan: Plan, ts: int) -> None:
    """After the members' rows are there."""
    group = plan.group
    for statement, written in (
        (sql.change_roles, [(*key, role) for key, role in plan.roles.items()]),
        (sql.change_silenced, [(*key, until) for key, until in group.silenced.items()]),
        (sql.change_muted, [(*key, until) for key, until in group.muted.items()]),
        (sql.insert_invites, group.invites),
        (sql.use_invites, list(group.uses.items())),
        (sql.end_invites, list(group.ended.items())),
    ):
        if written:
            connection.execute(statement, {"rows": rows(written)})
    if group.invites:
        groups = sorted({row.conv_id for row in group.invites})
        connection.execute(sql.forget_invites, {"keys": rows(groups), "before": ts - KEEP_MS})
