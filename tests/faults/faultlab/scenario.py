"""One seed, from an empty folder to a verdict."""

import contextlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from faultlab import ending
from faultlab.cast import GROUP, ROLES, Cast, Role, enroll
from faultlab.checker import Violation, check
from faultlab.database import Postgresql, Sqlite, postgresql
from faultlab.device import Config
from faultlab.disk import Disk
from faultlab.evidence import Evidence
from faultlab.group_lane import GroupLane
from faultlab.lanes import Lane, Stage
from faultlab.network_lane import NetworkLane
from faultlab.proxy import Proxy
from faultlab.recorder import read
from faultlab.server import LabError, ServerProcess
from faultlab.server_lane import ServerLane
from faultlab.troupe import Actor, Troupe

_READY_S = 240.0
_QUIET_S = 240.0
_POLL_S = 0.1


@dataclass(frozen=True)
class Plan:
    """What to run. `only`: words, of which a fault's name has one; empty: all faults.

    `changes_s` are the seconds between two changes of members. `takeover_s` is what a standby has.
    """

    seed: int
    seconds: float
    folder: Path
    database: str = "sqlite"
    longest_s: float = 10.0
    pace_s: float = 0.15
    changes_s: float = 0.5
    small_limit: int = 5
    takeover_s: float = 5.0
    only: frozenset[str] = frozenset()
    roles: tuple[Role, ...] = ROLES


@dataclass
class Report:
    """What came of it."""

    seed: int
    seconds: float = 0.0
    injected: dict[str, int] = field(default_factory=dict)
    changes: dict[str, int] = field(default_factory=dict)
    switches: int = 0
    room_entries: int = 0
    slowest_takeover_s: float = 0.0
    slowest_from_frozen_s: float = 0.0
    invoked: int = 0
    acked: int = 0
    delivered: int = 0
    stored: int = 0
    server_starts: int = 0
    device_starts: int = 0
    violations: list[Violation] = field(default_factory=list)


def run(plan: Plan) -> Report:
    """Raises: server.LabError if the bench itself fails, or the server does not come back."""
    began = time.monotonic()
    with _stage(plan) as (stage, cast):
        groups = GroupLane(stage, cast, plan.folder, plan.seed, plan.changes_s)
        lanes: list[Lane] = [
            ServerLane(stage, plan.seed, plan.only),
            NetworkLane(stage, plan.seed, plan.only),
            groups,
        ]
        _wait_until_all_take_part(stage.troupe)
        for lane in lanes:
            lane.start()
        _let_it_rage(stage, lanes, plan.seconds)
        evidence = _end(stage, cast, groups)
        report = _report(plan, stage, evidence)
        report.switches = groups.switches
    report.seconds = round(time.monotonic() - began, 1)
    return report


def _let_it_rage(stage: Stage, lanes: list[Lane], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not any(lane.failure for lane in lanes):
        time.sleep(_POLL_S)
    stage.stop.set()
    for lane in lanes:
        lane.join(400)


@contextmanager
def _stage(plan: Plan) -> Iterator[tuple[Stage, Cast]]:
    """The bench, put up and taken down again whatever happens."""
    with contextlib.ExitStack() as stack:
        disk = Disk(plan.folder / "data", 192 + int(plan.seconds))
        stack.callback(disk.release)
        database: Sqlite | Postgresql = Sqlite(disk.folder)
        if plan.database == "postgresql":
            database = stack.enter_context(postgresql())
        log, clock = plan.folder / "server.log", plan.folder / "clock"
        server = ServerProcess(disk.folder, log, clock, database.given, small_limit=plan.small_limit)
        cast = enroll(database.url, plan.roles)
        stack.callback(server.kill)
        server.start()
        group = _make_group(server, cast)
        proxies = [Proxy(port, plan.seed) for port in (server.mqtt, server.http)]
        for proxy in proxies:
            proxy.start()
            stack.callback(proxy.stop)
        mqtt, http = proxies
        troupe = Troupe([_actor(plan, role, cast, mqtt, http, group) for role in plan.roles])
        stack.callback(troupe.kill)
        troupe.start()
        stage = Stage(
            server, database, disk, mqtt, http, troupe, plan.longest_s, plan.small_limit, plan.takeover_s
        )
        yield stage, cast


def _make_group(server: ServerProcess, cast: Cast) -> str:
    first, *others = ending.observers(server, cast)
    try:
        return first.make_group([user for user in cast.grouped if user != first.user])
    finally:
        for observer in (first, *others):
            observer.close()


def _actor(plan: Plan, role: Role, cast: Cast, mqtt: Proxy, http: Proxy, group: str) -> Actor:
    name = f"{role.user}-{role.device}"
    config = Config(
        user=role.user,
        device=role.device,
        kind=role.kind,
        peers=[group if peer == GROUP else peer for peer in role.peers],
        crowd=cast.users,
        secret=cast.secrets[role.name],
        mqtt=mqtt.port,
        http=http.port,
        log=str(plan.folder / f"{name}.log"),
        store=str(plan.folder / f"{name}.db"),
        seed=plan.seed,
        pace_s=plan.pace_s,
    )
    return Actor(role, config, plan.folder)


def _wait_until_all_take_part(troupe: Troupe) -> None:
    """Everybody has said something; whoever receives has received something.

    Raises: LabError if that does not come about.
    """
    deadline = time.monotonic() + _READY_S
    while True:
        waiting = [
            actor.role.name
            for actor in troupe.actors
            if not {"reply", *(["receipt"] if actor.role.receives else [])}
            <= {e["what"] for e in actor.look()}
        ]
        if not waiting:
            return
        if time.monotonic() > deadline:
            raise LabError(
                f"without any fault, {waiting} take no part: {[a.errors() for a in troupe.actors]}"
            )
        time.sleep(_POLL_S)


def _end(stage: Stage, cast: Cast, groups: GroupLane) -> Evidence:
    server = stage.server
    stage.mqtt.heal()
    stage.http.heal()
    if not server.running:
        stage.complaints.append(f"the server ended by itself\n{server.tail()}")
        server.reap()
        server.start()
    watching = ending.observers(server, cast)
    try:
        playing = {actor.role.user for actor in stage.troupe.actors}
        heard = [observer for observer in watching if observer.user in playing]
        stage.complaints += ending.wait_quiet(stage.troupe, heard, _QUIET_S)
        ends = {observer.user: observer.read() for observer in watching}
    finally:
        for observer in watching:
            observer.close()
    url = stage.database.url
    outbox = ending.outbox_left(url)
    for actor in stage.troupe.actors:
        if actor.alive:
            actor.end()
    if server.stop() != 0:
        stage.complaints.append(f"the server did not stop as it should\n{server.tail()}")
    stage.complaints += ending.broken_rules(url)
    stewards = groups.stewards.values()
    kinds = {actor.role.name: actor.role.kind for actor in stage.troupe.actors}
    return Evidence(
        {**stage.troupe.logs(), **{steward.name: read(steward.log) for steward in stewards}},
        {**kinds, **{steward.name: "steward" for steward in stewards}},
        ends,
        small_limit=stage.small_limit,
        outbox=outbox,
        complaints=stage.complaints,
        restored_at=stage.restored_at,
    )


def _report(plan: Plan, stage: Stage, evidence: Evidence) -> Report:
    events = [event for log in evidence.logs.values() for event in log]
    # By conversation, each message once, however many read it.
    heads = {conv: seen.head for end in evidence.ends.values() for conv, seen in end.conversations.items()}
    return Report(
        plan.seed,
        injected=dict(sorted(stage.injected.items())),
        changes=dict(sorted(stage.changes.items())),
        room_entries=sum(event["what"] in {"entry", "room"} and event["taken"] for event in events),
        slowest_takeover_s=round(max(stage.takeovers, default=0.0), 1),
        slowest_from_frozen_s=round(max(stage.takeovers_from_frozen, default=0.0), 1),
        invoked=sum(event["what"] == "invoke" for event in events),
        acked=sum(event["what"] == "reply" for event in events),
        delivered=sum(event["what"] == "receipt" and event["type"] == "message" for event in events),
        stored=sum(heads.values()),
        server_starts=stage.server.starts,
        device_starts=sum(actor.starts for actor in stage.troupe.actors),
        violations=check(evidence),
    )
