"""A database with a past, written by the relay's own store in large transactions.

Each user has written with the next few, message by message in turn, as if all of it had come in through the
server: `pabal db check` finds nothing to say about it.
"""

import itertools
import os
import time
from collections.abc import Iterator, Sequence

from bridge.commands import Command, SendCommand, check_send
from bridge.ports import Source
from bridge.store import meta
from bridge.store.engine import open_engine
from bridge.store.lease import NullLease
from bridge.store.relay_store import Batch, RelayStore
from bridge.store.writer import Writer
from cli.load.wire import Person
from pabal import messages as m
from pabal.ids import parse_device, parse_user
from pabal_client.uuid7 import RANDOM_BYTES, uuid7

_AT_ONCE = 5_000
_PARTNERS = 5
_BLOCK = 250
_TEXT = "x" * 100


def fill(url: str, people: Sequence[Person], messages: int) -> None:
    """Store so many messages between these people, evenly."""
    write(url, _commands(people, messages))


def ring(people: Sequence[Person], each: int) -> Iterator[SendCommand]:
    """Each writes so many messages to the next one, who has read none of them."""
    sources = [Source(parse_user(p.user), parse_device(p.device)) for p in people]
    for number, source in enumerate(sources):
        for _ in range(each):
            yield _command(source, people[(number + 1) % len(people)].user)


def write(url: str, commands: Iterator[Command]) -> None:
    """Commit them, some thousand at a time. Whatever is refused ends the bench."""
    engine = open_engine(url, pool_size=1, bounded=False)
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA cache_size=-500000")  # it stays with the pool's one connection
    begun = meta.begin(engine, lambda _state: None, lambda: "filled", floor=0)
    writer = Writer(engine, NullLease(), begun.batch)
    store = RelayStore(writer, epoch=begun.epoch, clock_ms=lambda: time.time_ns() // 1_000_000)
    published = 0
    while some := [command for _, command in zip(range(_AT_ONCE), commands, strict=False)]:
        committed = store.commit(Batch(some, published_upto=published))
        published = committed.batch_id
        if refused := [outcome for outcome in committed.outcomes if not isinstance(outcome, bytes)]:
            raise SystemExit(f"the store refused {refused[0]!r}")
    store.commit(Batch((), published_upto=published))
    if engine.dialect.name == "postgresql":
        # What its own upkeep would have done by the time that so much has come in.
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
            connection.exec_driver_sql("CHECKPOINT")
    engine.dispose()


def _commands(people: Sequence[Person], messages: int) -> Iterator[SendCommand]:
    """Some users after the other, so that a transaction touches few pages; theirs in turns."""
    sources = [Source(parse_user(p.user), parse_device(p.device)) for p in people]
    count = len(people)
    rounds, rest = divmod(messages, count * _PARTNERS)
    for first in range(0, count, _BLOCK):
        block = range(first, min(first + _BLOCK, count))
        for turn in range(rounds + 1):
            for distance, number in itertools.product(range(_PARTNERS), block):
                if turn < rounds or distance * count + number < rest:
                    other = (number + distance + 1) % count
                    sender, to = (other, number) if turn % 2 else (number, other)
                    yield _command(sources[sender], people[to].user)


def _command(source: Source, to: str) -> SendCommand:
    request_id = uuid7(time.time_ns() // 1_000_000, os.urandom(RANDOM_BYTES))
    return check_send(source, m.Send(id=request_id, to=to, text=_TEXT))
