"""What the one transaction asks and writes about push subscriptions and quiet hours."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, text

from bridge.push_facts import DeviceKey, PushFacts, PushPlan, PushWanted
from bridge.store.dialect import Dialect, rows
from bridge.store.push_statements import UNSUBSCRIBED, log_of
from pabal.ids import DeviceId, UserId


class SubscriptionStatements:
    def __init__(self, d: Dialect) -> None:
        pair = f"(SELECT {d.fields('text', 'text')} FROM {d.each('rows')})"
        self.load_users = text("SELECT DISTINCT user_id FROM push_subscription")
        self.load_devices = text(
            f"SELECT v.user_id, v.device_id FROM {d.each('keys')} CROSS JOIN device AS v"
            f" WHERE v.user_id = {d.field(0)} AND v.device_id = {d.field(1)}"
        )
        self.load_untold = text(
            f"SELECT s.user_id, s.device_id, s.subscribed_ts FROM {d.each('keys')}"
            f" CROSS JOIN push_subscription AS s WHERE s.user_id = {d.field(0)} AND s.device_id = {d.field(1)}"
            " AND s.ended IS NOT NULL AND s.told_ts IS NULL"
        )
        # A worker that has the lane keeps it until it has written down what it does there.
        self.subscribe = text(
            "INSERT INTO push_subscription"
            " (user_id, device_id, service, target, preview, lang, quiet, subscribed_ts, host)"
            f" SELECT {d.fields('text', 'text', 'text', 'text', 'text', 'text', 'text', 'bigint', 'text')}"
            f" FROM {d.each('rows')} WHERE true ON CONFLICT (user_id, device_id) DO UPDATE SET"
            " service = excluded.service, target = excluded.target, host = excluded.host, preview = excluded.preview,"
            " lang = excluded.lang, quiet = excluded.quiet, subscribed_ts = excluded.subscribed_ts,"
            " ended = NULL, reason = NULL, told_ts = NULL, not_before = 0, failures = 0"
        )
        self.unsubscribe = text(f"DELETE FROM push_subscription WHERE (user_id, device_id) IN {pair}")
        self.forget_shown = [
            text(f"DELETE FROM {table} WHERE (user_id, device_id) IN {pair}")
            for table in ("push_shown", "push_asked")
        ]
        self.log_jobs = log_of(
            d, f"j.user_id = {d.field(0)} AND j.device_id = {d.field(1)}", "'dropped'", f"'{UNSUBSCRIBED}'"
        )
        self.forget_jobs = text(f"DELETE FROM push_job WHERE (user_id, device_id) IN {pair}")
        self.tell = text(
            f"UPDATE push_subscription AS s SET told_ts = :now FROM {d.each('rows')}"
            f" WHERE s.user_id = {d.field(0)} AND s.device_id = {d.field(1)}"
        )
        self.set_quiet = text(
            "INSERT INTO quiet_hours (user_id, conv_id, hours)"
            f" SELECT {d.fields('text', 'text', 'text')} FROM {d.each('rows')} WHERE true"
            " ON CONFLICT (user_id, conv_id) DO UPDATE SET hours = excluded.hours"
        )
        self.forget_quiet = text(f"DELETE FROM quiet_hours WHERE (user_id, conv_id) IN {pair}")


def load(connection: Connection, sql: SubscriptionStatements, keys: PushWanted, facts: PushFacts) -> None:
    if keys.devices:
        found = connection.execute(sql.load_devices, {"keys": rows(sorted(keys.devices))})
        facts.devices = {(UserId(user), DeviceId(device)) for user, device in found}
    if keys.subscriptions:
        asked = {"keys": rows(sorted(keys.subscriptions))}
        for user, device, since in connection.execute(sql.load_untold, asked):
            facts.untold[UserId(user), DeviceId(device)] = since


def write(connection: Connection, sql: SubscriptionStatements, plan: PushPlan, ts: int) -> None:
    made = [row for row in plan.subscriptions.values() if row is not None]
    ended = sorted(whose for whose, row in plan.subscriptions.items() if row is None)
    if made:
        connection.execute(sql.subscribe, {"rows": rows(made)})
    if ended:
        unsubscribe(connection, sql, ended, ts)
    if plan.told:
        connection.execute(sql.tell, {"rows": rows(plan.told), "now": ts})
    for statement, quiet in (
        (sql.set_quiet, [(*whose, hours) for whose, hours in plan.quiet.items() if hours is not None]),
        (sql.forget_quiet, [whose for whose, hours in plan.quiet.items() if hours is None]),
    ):
        written: list[Any] = list(quiet)
        if written:
            connection.execute(statement, {"rows": rows(written)})


def unsubscribe(
    connection: Connection, sql: SubscriptionStatements, whose: Iterable[DeviceKey], ts: int
) -> None:
    """What was still to be pushed there is dropped."""
    asked = {"rows": rows(list(whose))}
    connection.execute(sql.unsubscribe, asked)
    for statement in sql.forget_shown:
        connection.execute(statement, asked)
    connection.execute(sql.log_jobs, {**asked, "now": ts})
    connection.execute(sql.forget_jobs, asked)
