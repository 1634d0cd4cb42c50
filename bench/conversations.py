"""The list of conversations of somebody who has a thousand, half of them groups with mentions: how long a page takes."""

import argparse
import time
from collections.abc import Iterator

import fill
import httpx2
import people
from server import place, serving

from bridge.build import open_reads
from bridge.commands import Command, check_group_create, check_send
from bridge.ports import Source
from cli.load.tally import summary
from cli.load.wire import Person
from pabal import messages as m
from pabal.ids import UserId, parse_device, parse_user


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--conversations", type=int, default=1000)
    parser.add_argument("--messages", type=int, default=20, help="in each of them")
    parser.add_argument("--repeat", type=int, default=100, help="times that each page is asked for")


def measure(options: argparse.Namespace) -> Iterator[tuple[str, dict]]:
    with place(postgres=options.postgres) as where:
        one, *others = people.make(where.url, options.conversations + 1)
        fill.write(where.url, _commands(one, others, options.messages))
        with open_reads(where.url) as reads:
            for limit in (100, 200):
                taken = [
                    _timed(lambda limit=limit: reads.conversations(UserId(one.user), None, limit))
                    for _ in range(options.repeat)
                ]
                yield f"page of {limit}, in the process", {"times": len(taken), **summary(taken)}
        with serving(where) as server, httpx2.Client(base_url=server.http, timeout=60) as http:
            headers = {"Authorization": f"Bearer {one.secret}"}

            def page(limit: int) -> None:
                answer = http.get("/v1/conversations", params={"limit": limit}, headers=headers)
                if answer.status_code != 200:
                    raise SystemExit(f"the server refused: {answer.text}")

            for limit in (100, 200):
                page(limit)
                taken = [_timed(lambda limit=limit: page(limit)) for _ in range(options.repeat)]
                yield f"page of {limit}, over HTTP", {"times": len(taken), **summary(taken)}


def _timed(work) -> int:
    """In microseconds, as a tally has them."""
    began = time.perf_counter_ns()
    work()
    return (time.perf_counter_ns() - began) // 1000


def _commands(one: Person, others: list[Person], messages: int) -> Iterator[Command]:
    """Every second one of the others makes a group with this person and the next of them; the rest writes directly."""
    user = parse_user(one.user)
    for number, other in enumerate(others):
        source = Source(parse_user(other.user), parse_device(other.device))
        to: dict[str, str] = {"to": user}
        if number % 2:
            members = [user, parse_user(others[number - 1].user)]
            create = check_group_create(
                source, m.GroupCreate(id="g", name=f"group {number}", members=members)
            )
            yield create
            to = {"conv": create.conv}
        for turn in range(messages):
            named = [user] if number % 2 and turn % 4 == 0 else []
            yield check_send(source, m.Send(id=f"{turn}", text="x" * 100, mentions=named, **to))
