"""Which of a lane's jobs is sent and what it says, which are dropped and why, and what a try comes to. Pure.

A push is a hint. Whatever it would tell too late, twice or against somebody's wish is dropped with a word for why,
and `pabal trace` shows that word.
"""

from base64 import urlsafe_b64encode
from collections.abc import Callable
from hashlib import blake2b

from bridge.push import words
from bridge.push.jobs import ASKS, Drop, Job, Known, Place, Result, Said, Start, Taken
from bridge.push.ports import Gone, Notification, Outcome, Refused, Sent, SubscribeAgain, TryLater
from pabal import ids
from pabal.ids import ConvId, UserId

# Tries of one job. With the pauses below it is given up after some five hours, if its time is not over before.
MAX_TRIES = 25
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 900.0
# A service that asks for more has no use for us today.
MAX_WAIT_S = 86_400.0
MAX_ANSWER = 300
_NOWHERE = Place(is_member=False, read_upto=0)

# `(time zone, ms since 1970) -> minute of the day there`
MinuteOf = Callable[[str, int], int]


def decide(taken: Taken, known: Known, now: int, minute_of: MinuteOf) -> tuple[list[Drop], Start | None]:
    """What becomes of the jobs that are due in a lane: at most one is sent, the oldest that should be; what is in
    neither waits for the next turn. Several of one conversation collapse into the newest.
    """
    drops: list[Drop] = []
    newest: dict[tuple[ConvId | None, bool], Job] = {}
    for job in taken.jobs:
        drop = _drop(taken, known, job, now, minute_of)
        if drop is not None:
            drops.append(drop)
            continue
        about = job.conv, job.asks
        older = newest.get(about)
        if older is not None and job.key.kind == "clear" and older.key.kind == "message":
            # What it would take away, the message takes the place of.
            drops.append(Drop(job.key, "collapsed"))
            continue
        if older is not None:
            drops.append(Drop(newest.pop(about).key, "collapsed"))
        newest[about] = job
    for job in newest.values():
        return drops, Start(taken, job, notification(taken, known, job, now))
    return drops, None


def _drop(taken: Taken, known: Known, job: Job, now: int, minute_of: MinuteOf) -> Drop | None:
    if job.expires_ts <= now:
        if job.tries:
            return Drop(job.key, f"too late after {job.tries} tries: {job.answer or ''}", is_dead=True)
        return Drop(job.key, "too late")
    if not known.active:
        return Drop(job.key, "no such account or device")
    reason = (
        _why_not_clear(known, job) if job.key.kind == "clear" else _why_not(taken, known, job, now, minute_of)
    )
    return None if reason is None else Drop(job.key, reason)


def _why_not_clear(known: Known, job: Job) -> str | None:
    place = _place(known, job)
    shown, upto = (place.asked, job.key.seq) if job.asks else (place.shown, job.message_id or 0)
    if shown is None or shown > upto:
        return "nothing shown"
    return None


def _why_not(  # noqa: PLR0911 -- one line for each reason
    taken: Taken, known: Known, job: Job, now: int, minute_of: MinuteOf
) -> str | None:
    place, said = _place(known, job), _said(known, job)
    if known.acked >= job.key.seq:
        return "acknowledged"
    if not place.is_member and not job.asks:
        return "left"
    if said is None or said.is_gone or said.is_hidden:
        return "answered" if job.asks else "taken back"
    if (job.message_id or 0) <= place.read_upto and not job.asks:
        return "read"
    if said.is_apart:
        return "blocked"
    mentioned = _is_mentioned(taken.subscription.user, job, said)
    if place.muted_until is not None and place.muted_until > now and not mentioned:
        return "muted"
    for hours in (known.quiet, place.quiet, taken.quiet):
        if (
            hours is not None
            and not (mentioned and hours.mentions)
            and hours.covers(minute_of(hours.tz, now))
        ):
            return "quiet"
    return None


def _place(known: Known, job: Job) -> Place:
    return known.places.get(job.conv, _NOWHERE) if job.conv is not None else _NOWHERE


def _said(known: Known, job: Job) -> Said | None:
    return None if job.conv is None else known.messages.get((job.conv, job.message_id or 0))


def _is_mentioned(user: UserId, job: Job, said: Said) -> bool:
    """By name: `@all` does not break through what somebody has muted."""
    return job.type == "mention" or user in said.mentions


def notification(taken: Taken, known: Known, job: Job, now: int) -> Notification:
    """What is told of a job that `decide` let through."""
    said, place = _said(known, job), _place(known, job)
    title, body, urgent, expires = None, None, False, job.expires_ts
    if job.key.kind == "message" and said is not None and job.conv is not None:
        mentioned = _is_mentioned(taken.subscription.user, job, said)
        urgent = mentioned or (ids.is_direct(job.conv) and not job.asks)
        title, body = _shown(taken, job.conv, place, said, mentioned=mentioned)
        if said.expires_ts is not None:
            expires = min(expires, said.expires_ts)
    return Notification(
        push_id=job.push_id,
        kind="contact" if job.asks and job.key.kind == "message" else job.key.kind,
        seq=job.key.seq,
        conv=job.conv,
        message_id=job.message_id,
        title=title,
        body=body,
        collapse=collapse_id(job.conv, asks=job.asks),
        badge=known.badge,
        ttl_s=max(1, (expires - now) // 1000),
        urgent=urgent,
        ts=job.created_ts,
    )


def _shown(
    taken: Taken, conv: ConvId, place: Place, said: Said, *, mentioned: bool
) -> tuple[str | None, str | None]:
    preview, lang = taken.preview, taken.lang
    if preview == "none":
        return None, None
    if said.kind == ASKS:
        return said.sender_name, words.asks(lang, said.text if preview == "full" else None)
    if preview == "sender":
        return said.sender_name, words.sent_something(lang)
    text = words.content(lang, said.kind, said.text)
    if ids.is_direct(conv):
        return said.sender_name, text
    return place.name or said.sender_name, words.in_group(lang, said.sender_name, text, mentioned=mentioned)


def collapse_id(conv: ConvId | None, *, asks: bool = False) -> str:
    """The same for all of a conversation, and another one for asking to be a contact; tells nothing of who is in it."""
    digest = blake2b(
        f"{conv or ''}{' asks' if asks else ''}".encode(), digest_size=18, person=b"pabal collapse"
    ).digest()
    return urlsafe_b64encode(digest).decode()


# -- what a try comes to


def result_of(start: Start, outcome: Outcome, now: int, random: Callable[[], float]) -> Result:
    """`random` from 0 to below 1, for the pause before the next try."""
    key, since = start.job.key, start.taken.subscribed_ts
    tries = start.job.tries + 1
    match outcome:
        case Sent(answer):
            return Result(key, since, tries, "sent", _line(answer), settles=start.taken.failures > 0)
        case Gone(reason):
            return Result(key, since, tries, "dead", _line(f"gone: {reason}"), ended="gone")
        case SubscribeAgain(reason):
            return Result(key, since, tries, "dead", _line(f"subscribe again: {reason}"), ended="again")
        case Refused(reason):
            return Result(key, since, tries, "dead", _line(f"refused: {reason}"))
        case TryLater(reason, after_s):
            failures = start.taken.failures + 1
            wait_s = pause_s(failures, random) if after_s is None else min(max(0.0, after_s), MAX_WAIT_S)
            not_before = now + round(1000 * wait_s)
            if tries >= MAX_TRIES:
                return Result(
                    key, since, tries, "dead", _line(f"{tries} tries: {reason}"), not_before, failures
                )
            return Result(key, since, tries, "queued", _line(reason), not_before, failures)


def pause_s(failures: int, random: Callable[[], float]) -> float:
    """Twice as long after each failure in a row, up to a bound, and between a half and the whole of it by chance, so
    that those who failed together do not come back together.
    """
    longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(failures - 1, 20))
    return longest * (0.5 + random() / 2)


def _line(text: str) -> str:
    """For the log, and for people: printable, in one line, and of bounded length."""
    line = "".join(char if char.isprintable() else " " for char in text)
    return line if len(line) <= MAX_ANSWER else line[: MAX_ANSWER - 1] + "…"
