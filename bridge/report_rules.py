"""Reports of people and messages, kept for moderators with what the message said at that time."""

import msgspec

from bridge.entries import Batch
from bridge.people_commands import MakeReport
from bridge.people_facts import MAX_A_DAY, Reported, ReportRow
from bridge.updates import raw_body
from pabal import codec, ids
from pabal import messages as m
from pabal.errors import NotAMember, NotFound, RateLimited, Unauthorized
from pabal.ids import ConvId, UserId

DAY_MS = 24 * 3600 * 1000


def make_report(batch: Batch, command: MakeReport) -> bytes | None:
    """The same report again is the one that is there.

    Raises: Unauthorized, NotFound, NotAMember, RateLimited.
    """
    if command.user not in batch.facts.accounts:
        raise Unauthorized("this account is not active")
    people, conv = batch.facts.people, command.conv
    message = None if conv is None else check_sees(batch, command.user, conv, command.message_id)
    about = command.about if message is None else UserId(message.sender)
    if about is None or (message is None and about not in batch.facts.accounts):
        raise NotFound(f"no such user {about!r}", field="user")
    key = (command.user, about, conv or "", command.message_id)
    number = people.reports.get(key)
    dup = number is not None
    if number is None:
        _check_often(batch, command.user)
        number = people.last_report = people.last_report + 1
        people.reports[key] = number
        people.report_times.setdefault(command.user, []).append(batch.ts)
        content = None if message is None else content_of(message, batch.ts)
        batch.plan.people.reports.append(
            ReportRow(number, *key, command.reason, command.text, content, batch.ts)
        )
    if command.request_id is None:
        return None
    return codec.encode(m.ReportDone(re=command.request_id, report=number, dup=dup))


def check_sees(batch: Batch, user: UserId, conv: ConvId, message_id: int) -> Reported:
    """The message, if this user sees it.

    Raises: NotFound, NotAMember.
    """
    facts, first = batch.facts, 1
    if conv not in facts.conversations:
        raise NotFound("no such conversation", field="conv")
    if not ids.is_direct(conv):
        if user not in facts.roles.get(conv, {}):
            raise NotAMember("you are not in this group", field="conv")
        first = facts.visible_from[conv, user]
    message = facts.people.messages.get((conv, message_id))
    if message is None or message.type != "message" or message_id < first:
        raise NotFound("no such message", field="message_id")
    return message


def content_of(message: Reported, ts: int) -> str:
    """JSON of what moderators are shown, whatever becomes of the message."""
    is_over = message.expires is not None and message.expires <= ts
    content = m.ReportedContent(
        from_=message.sender,
        kind=message.kind,
        ts=message.ts,
        text=None if is_over else message.text,
        body=raw_body(None if is_over else message.body),
        recalled=message.is_recalled or is_over,
    )
    return msgspec.json.encode(content).decode()


def _check_often(batch: Batch, user: UserId) -> None:
    """Raises: RateLimited."""
    since = batch.ts - DAY_MS
    recent = sorted(ts for ts in batch.facts.people.report_times.get(user, ()) if ts > since)
    if len(recent) >= MAX_A_DAY:
        wait_ms = recent[-MAX_A_DAY] - since
        raise RateLimited(f"at most {MAX_A_DAY} reports a day", retry_after=max(1, -(-wait_ms // 1000)))
