"""A backup as docker/README.md has it, its restore, and what is to be there afterwards."""

from pathlib import Path

from stacklab.containers import Stack
from stacklab.crew import Crew
from stacklab.shell import until
from stacklab.speakers import LibrarySpeaker
from stacklab.verdict import Evidence, Violation, judge

_DUMP = ("exec", "-T", "postgres", "pg_dump", "--username", "pabal", "--format", "custom", "pabal")
_EMPTY = "dropdb --username pabal --force pabal && createdb --username pabal pabal"
_RESTORE = (
    "exec",
    "-T",
    "postgres",
    "pg_restore",
    "--username",
    "pabal",
    "--dbname",
    "pabal",
    "--exit-on-error",
)
_SECONDS = 120.0


def make(stack: Stack, file: Path) -> None:
    stack.compose(*_DUMP, stdout=file, seconds=_SECONDS)


# Who stays while a backup is restored.
_NOT_OURS = {"proxy", "postgres", "redis", "mosquitto"}


def restore(stack: Stack, file: Path) -> None:
    """All of Pabal stops meanwhile, and is healthy again when this returns."""
    stack.compose("stop", *sorted({one.service for one in stack.containers()} - _NOT_OURS), seconds=_SECONDS)
    stack.compose("exec", "-T", "postgres", "sh", "-c", _EMPTY)
    stack.compose(*_RESTORE, stdin=file, seconds=_SECONDS)
    stack.one_off("db", "restored")
    stack.compose("up", "-d", seconds=_SECONDS)
    stack.until_well(_SECONDS)


class Before(dict[str, tuple[str, int]]):
    """Epoch and head of each inbox before the restore."""


def position(crew: Crew) -> Before:
    pages = {name: crew.ask(name, lambda rest: rest.sync(0, limit=1)) for name in crew.names}
    return Before({name: (page.epoch, page.head) for name, page in pages.items()})


def check(crew: Crew, before: Before, kept: Evidence) -> list[Violation]:
    """What is wrong after a restore; `kept` has what was said, with what was acknowledged before the backup began.

    Devices are to start over with a new epoch, and everything acknowledged before is to be there.
    """
    found = []
    for name, (epoch, head) in before.items():
        page = crew.ask(name, lambda rest, e=epoch, h=head: rest.sync(h, epoch=e))  # type: ignore[misc]
        if not page.reset or page.epoch == epoch:
            found.append(
                Violation("a restore starts over", f"{name} is not told to, and its epoch was {epoch}")
            )
        kept.seqs[name], kept.inboxes[name] = crew.inbox(name)
    return found + judge(kept)


def devices_start_over(crew: Crew, before: Before) -> list[Violation]:
    """Raises: StackError where a device has not got its snapshot in time."""
    found = []
    for speaker in crew.speakers:
        if not isinstance(speaker, LibrarySpeaker):
            continue
        until(lambda s=speaker: s.snapshots, f"{speaker.device} starts over", 60)  # type: ignore[misc]
        epoch, _head = before[speaker.user]
        if speaker.snapshots[-1].epoch == epoch:
            found.append(
                Violation("a restore starts over", f"{speaker.device} has the epoch of before, {epoch}")
            )
    return found
