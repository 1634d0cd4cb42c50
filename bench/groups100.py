"""A hundred groups of a hundred, all online and following `live` too: how soon a message reaches every member."""

import argparse
from collections.abc import Iterator

import gauge
import groups
import people
from server import place, serving

from cli.load.pairs import Load, Receiver
from cli.load.tally import Tally
from cli.load.wire import Device, Person
from pabal import topics
from pabal.ids import parse_user

_LIVE = b'{"type":'


def arguments(parser: argparse.ArgumentParser) -> None:
    groups.arguments(parser)
    parser.set_defaults(groups=100, members=100, rate=50)
    parser.add_argument("--no-live", action="store_true", help="without receipts for anybody: inboxes alone")


def measure(options: argparse.Namespace) -> Iterator[tuple[str, dict]]:
    load = Load(rate=options.rate, seconds=options.seconds, warmup_s=options.warmup)
    with place(postgres=options.postgres) as where:
        everybody = people.make(where.url, options.groups * options.members)
        circles = [everybody[n :: options.groups] for n in range(options.groups)]
        with serving(where) as server:
            member = Receiver if options.no_live else Member
            work = groups.run(circles, server.port, load, member)
            yield f"{options.groups} groups of {options.members}", gauge.measured(server, work)


class Member(Receiver):
    """Follows the inbox, and what is live."""

    def __init__(self, tally: Tally, person: Person) -> None:
        user = parse_user(person.user)
        Device.__init__(self, person, [(topics.inbox(user), 1), (topics.live(user), 0)])
        self._tally = tally
        self._seq = 0

    def published(self, payload: bytes) -> None:
        if not payload.startswith(_LIVE):
            super().published(payload)
