"""How one's devices are reached when their apps are closed, and when not. Nobody else's business, and so no entry."""

from bridge.entries import Batch, done
from bridge.plan import InboxEntry
from bridge.push_commands import EndPush, RemovePush, SetPush, SetQuiet
from bridge.push_facts import SubscriptionRow
from pabal import codec, ids
from pabal import messages as m
from pabal.errors import NotAMember, NotFound, Unauthorized


def set_push(batch: Batch, command: SetPush) -> bytes | None:
    """Raises: Unauthorized, NotFound."""
    _check_active(batch, command)
    whose = command.user, command.of
    if whose not in batch.facts.push.devices:
        raise NotFound(f"no device {command.of!r}", field="device")
    batch.plan.push.subscriptions[whose] = SubscriptionRow(
        command.user,
        command.of,
        command.service,
        command.target,
        command.preview,
        command.lang,
        command.quiet,
        batch.ts,
        command.host,
    )
    return done(command)


def remove_push(batch: Batch, command: RemovePush) -> bytes | None:
    """Raises: Unauthorized."""
    _check_active(batch, command)
    batch.plan.push.subscriptions[command.user, command.of] = None
    return done(command)


def end_push(batch: Batch, command: EndPush) -> None:
    """The user's devices are told, once. A subscription that was made anew meanwhile is left alone."""
    whose = command.user, command.of
    if batch.facts.push.untold.pop(whose, None) != command.since or whose in batch.plan.push.subscriptions:
        return
    if command.event == "push_gone":
        batch.plan.push.subscriptions[whose] = None
    else:
        batch.plan.push.told.append(whose)
    update = m.SystemUpdate(
        ts=batch.ts, event=command.event, device=command.of, service=command.service, reason=command.reason
    )
    data, tail = codec.encode(update).decode(), codec.update_tail(batch.epoch, update)
    batch.plan.inbox.append(InboxEntry(command.user, "system", None, None, data, tail))


def set_quiet(batch: Batch, command: SetQuiet) -> bytes | None:
    """Raises: Unauthorized, NotFound, NotAMember."""
    _check_active(batch, command)
    conv, user = command.conv, command.user
    if conv is not None and (conv, user) not in batch.facts.group.muted:
        if not ids.is_direct(conv) and conv in batch.facts.conversations:
            raise NotAMember("you are not in this group", field="conv")
        raise NotFound("no such conversation", field="conv")
    batch.plan.push.quiet[user, conv or ""] = command.hours
    return done(command)


def _check_active(batch: Batch, command: SetPush | RemovePush | SetQuiet) -> None:
    if command.user not in batch.facts.accounts:
        raise Unauthorized("this account is not active")
