"""What the one transaction asks and writes about people. Whoever asks for nothing costs no statement."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, TextClause, text

from bridge.people_facts import MAX_A_DAY, Pair, PeopleFacts, PeoplePlan, PeopleWanted, Reported
from bridge.store.dialect import Dialect, rows
from pabal import privacy
from pabal.ids import ConvId, UserId


class PeopleStatements:
    def __init__(self, d: Dialect) -> None:
        # Every message asks this. Most people have neither chosen nor blocked anything, and then it is all.
        self.load_accounts = text(
            "SELECT a.user_id, a.state, a.privacy, EXISTS (SELECT 1 FROM block AS b WHERE b.user_id = a.user_id)"
            f" FROM account AS a WHERE a.user_id {d.among('keys')} AND a.state <> 'disabled'"
        )
        self.load_pairs = text(
            f"SELECT {d.field(0)}, {d.field(1)}, c.state, b.ts FROM {d.each('keys')}"
            f" LEFT JOIN contact AS c ON c.user_id = {d.field(0)} AND c.other_id = {d.field(1)}"
            f" LEFT JOIN block AS b ON b.user_id = {d.field(0)} AND b.blocked_id = {d.field(1)}"
            " WHERE c.state IS NOT NULL OR b.ts IS NOT NULL"
        )
        self.load_counts = text(
            f"SELECT user_id, state, count(*) FROM contact WHERE user_id {d.among('keys')}"
            " GROUP BY user_id, state UNION ALL"
            f" SELECT user_id, 'blocked', count(*) FROM block WHERE user_id {d.among('keys')} GROUP BY user_id"
        )
        self.load_reported = [
            text(
                "SELECT m.conv_id, m.message_id, m.sender, m.type, m.kind, m.ts, m.text, m.body,"
                f" m.recalled_ts IS NOT NULL, m.expires_ts FROM {d.each('keys')} CROSS JOIN {table} AS m"
                f" WHERE m.conv_id = {d.field(0)} AND m.message_id = {d.field(1, 'bigint')}"
            )
            for table in ("direct_message", "group_message")
        ]
        self.load_reports = text(
            "SELECT r.report_id, r.reporter, r.about, r.conv_id, r.message_id"
            f" FROM {d.each('keys')} CROSS JOIN report AS r"
            f" WHERE r.reporter = {d.field(0)} AND r.conv_id = {d.field(1)}"
            f" AND r.message_id = {d.field(2, 'bigint')} AND ({d.field(3)} IS NULL OR r.about = {d.field(3)})"
        )
        self.load_report_times = text(
            f"SELECT r.reporter, r.ts FROM {d.each('keys')} CROSS JOIN report AS r WHERE r.report_id IN"
            f" (SELECT n.report_id FROM report AS n WHERE n.reporter = {d.field(0)}"
            f" ORDER BY n.ts DESC LIMIT {MAX_A_DAY})"
        )
        self.last_report = text("SELECT coalesce(max(report_id), 0) FROM report")
        self.upsert_contacts = text(
            "INSERT INTO contact (user_id, other_id, state, text, ts)"
            f" SELECT {d.fields('text', 'text', 'text', 'text', 'bigint')} FROM {d.each('rows')} WHERE true"
            " ON CONFLICT (user_id, other_id) DO UPDATE SET"
            " state = excluded.state, text = excluded.text, ts = excluded.ts"
        )
        # Both sides of it.
        self.forget_contact = text(
            "DELETE FROM contact WHERE user_id = :user AND other_id = :other"
            " OR user_id = :other AND other_id = :user"
        )
        self.forget_block = text("DELETE FROM block WHERE user_id = :user AND blocked_id = :other")
        self.told_of_contacts = text(
            "SELECT seq, data FROM inbox WHERE user_id = :other AND type = 'contact' AND data IS NOT NULL"
        )
        self.tell_again = text("UPDATE inbox SET data = :data WHERE user_id = :other AND seq = :seq")
        self.delete_contacts = _delete(d, "contact", "other_id")
        self.insert_blocks = text(
            "INSERT INTO block (user_id, blocked_id, ts)"
            f" SELECT {d.fields('text', 'text', 'bigint')} FROM {d.each('rows')} WHERE true"
            " ON CONFLICT (user_id, blocked_id) DO NOTHING"
        )
        self.delete_blocks = _delete(d, "block", "blocked_id")
        kinds = d.fields("bigint", "text", "text", "text", "bigint", "text", "text", "text", "bigint")
        self.insert_reports = text(
            "INSERT INTO report (report_id, reporter, about, conv_id, message_id, reason, text, content, ts)"
            f" SELECT {kinds} FROM {d.each('rows')}"
        )


def _delete(d: Dialect, table: str, other: str) -> TextClause:
    return text(
        f"DELETE FROM {table} WHERE (user_id, {other}) IN"
        f" (SELECT {d.fields('text', 'text')} FROM {d.each('rows')})"
    )


def load(
    connection: Connection,
    sql: PeopleStatements,
    accounts: Iterable[UserId],
    conversations: Iterable[ConvId],
    keys: PeopleWanted,
    people: PeopleFacts,
) -> set[UserId]:
    """Fills `people`. Returns which of the accounts are active."""
    active, wary = _load_accounts(connection, sql, sorted(accounts), people)
    pairs = keys.pairs | _of_wary(wary, conversations, keys.met) if wary else keys.pairs
    if pairs:
        asked = {"keys": rows(sorted(pairs))}
        for user, other, state, blocked_ts in connection.execute(sql.load_pairs, asked):
            if state is not None:
                people.contacts[user, other] = state
            if blocked_ts is not None:
                people.blocks.add((user, other))
    if keys.counts:
        for user, state, count in connection.execute(sql.load_counts, {"keys": rows(sorted(keys.counts))}):
            people.counts[user, state] = count
    if keys.reports:
        _load_reports(connection, sql, keys, people)
    return active


def _load_accounts(
    connection: Connection, sql: PeopleStatements, users: list[UserId], people: PeopleFacts
) -> tuple[set[UserId], set[UserId]]:
    """Those who are active, and those of them who have chosen or blocked anything."""
    active: set[UserId] = set()
    wary: set[UserId] = set()
    if not users:
        return active, wary
    for user, state, kept, has_blocked in connection.execute(sql.load_accounts, {"keys": rows(users)}):
        if state != "active":
            people.gone.add(user)
            continue
        active.add(user)
        if kept is not None:
            people.privacy[user] = privacy.parse(kept)
        if kept is not None or has_blocked:
            wary.add(user)
    return active, wary


def _of_wary(wary: set[UserId], conversations: Iterable[ConvId], met: set[Pair]) -> set[Pair]:
    """How those who may not take everything from everybody stand to whoever may come to them in this batch."""
    pairs = {pair for pair in met if pair[0] in wary}
    for conv in conversations:
        one, tilde, other = conv.partition("~")
        if tilde and one != other:
            for pair in ((UserId(one), UserId(other)), (UserId(other), UserId(one))):
                if pair[0] in wary:
                    pairs.add(pair)
    return pairs


def _load_reports(
    connection: Connection, sql: PeopleStatements, keys: PeopleWanted, people: PeopleFacts
) -> None:
    for statement, messages in zip(
        sql.load_reported, (keys.direct_messages, keys.group_messages), strict=True
    ):
        if messages:
            for (
                conv,
                message_id,
                sender,
                type_,
                kind,
                ts,
                content,
                body,
                recalled,
                expires,
            ) in connection.execute(statement, {"keys": rows(messages)}):
                people.messages[ConvId(conv), message_id] = Reported(
                    sender, type_, kind, ts, content, body, bool(recalled), expires
                )
    found = connection.execute(sql.load_reports, {"keys": rows(keys.reports)})
    for number, reporter, about, conv, message_id in found:
        people.reports[reporter, about, conv, message_id] = number
    reporters = [[user] for user in sorted({reporter for reporter, *_ in keys.reports})]
    for reporter, ts in connection.execute(sql.load_report_times, {"keys": rows(reporters)}):
        people.report_times.setdefault(reporter, []).append(ts)
    people.last_report = connection.execute(sql.last_report).scalar_one()


def write(connection: Connection, sql: PeopleStatements, plan: PeoplePlan) -> None:
    for statement, written in (
        (sql.delete_contacts, [pair for pair, row in plan.contacts.items() if row is None]),
        (sql.upsert_contacts, [row for row in plan.contacts.values() if row is not None]),
        (sql.delete_blocks, [pair for pair, ts in plan.blocks.items() if ts is None]),
        (sql.insert_blocks, [(*pair, ts) for pair, ts in plan.blocks.items() if ts is not None]),
        (sql.insert_reports, plan.reports),
    ):
        made: list[Any] = list(written)
        if made:
            connection.execute(statement, {"rows": rows(made)})
