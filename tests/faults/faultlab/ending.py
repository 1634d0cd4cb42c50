"""The end of a scenario: wait until nothing moves any more, then read everything afresh."""

import time
from collections.abc import Callable

import httpx2
from sqlalchemy import text

from bridge.store.engine import open_engine
from bridge.store.maintenance import check
from faultlab.cast import OBSERVER, Cast
from faultlab.evidence import ConversationEnd, UserEnd
from faultlab.groups import reached_rooms
from faultlab.recorder import Event
from faultlab.server import LabError, ServerProcess
from faultlab.troupe import Actor, Troupe
from pabal.messages import MAX_NUMBER

_POLL_S = 0.1
_PAGE = 500
_MENDED_S = 60.0


class Observer:
    """A device of one user that only reads, over HTTP, past all proxies."""

    def __init__(self, server: ServerProcess, user: str, secret: str) -> None:
        self.user = user
        self._http = httpx2.Client(
            base_url=f"http://127.0.0.1:{server.http}/v1",
            headers={"Authorization": f"Bearer {secret}"},
            timeout=60,
        )

    def close(self) -> None:
        self._http.close()

    def _get(self, path: str, **query: object) -> Event:
        """Raises: LabError for another answer than a page; that a database is just coming back is waited for."""
        deadline = time.monotonic() + _MENDED_S
        while True:
            late = time.monotonic() > deadline
            try:
                answer = self._http.get(path, params=query)
            except httpx2.TransportError as error:
                if late:
                    raise LabError(f"{path}: {error!r}") from error
            else:
                if answer.status_code == 200:
                    return answer.json()
                if answer.status_code != 503 or late:
                    raise LabError(f"{path} was answered {answer.status_code}: {answer.text[:300]}")
            time.sleep(_POLL_S)

    def make_group(self, members: list[str]) -> str:
        """Returns its conversation id."""
        asked = {"id": "group", "op": "group.create", "name": "riders", "members": members}
        answer = self._http.post("/requests", json=asked)
        if answer.status_code >= 300:
            raise LabError(f"the group was not made: {answer.text}")
        return str(answer.json()["conv"])

    def heads(self) -> tuple[int, dict[str, int]]:
        """Of the inbox, and of the rooms of large groups."""
        page = self._get("/sync", after=0, limit=1)
        return page["head"], page["rooms"]

    def read(self) -> UserEnd:
        inbox: list[Event] = []
        while True:
            page = self._get("/sync", after=inbox[-1]["seq"] if inbox else 0, limit=_PAGE)
            inbox += page["items"]
            if not page["more"]:
                break
        listed = self._get("/conversations", limit=200)["conversations"]
        conversations = {
            one["conv"]: ConversationEnd(one["head"], one["read"], one["unread"], self._history(one["conv"]))
            for one in listed
        }
        return UserEnd(page["epoch"], page["head"], inbox, conversations)

    def _history(self, conv: str) -> list[Event]:
        items: list[Event] = []
        while True:
            after = items[-1]["message_id"] if items else 0
            page = self._get(f"/conversations/{conv}/messages", after=after, limit=200)
            items += page["items"]
            if not page["more"]:
                return items


def observers(server: ServerProcess, cast: Cast) -> list[Observer]:
    return [Observer(server, user, cast.secrets[f"{user}:{OBSERVER}"]) for user in cast.users]


def wait_quiet(troupe: Troupe, watching: list[Observer], seconds: float) -> list[str]:
    """Wait until every request is answered and every device is at the head. Returns what is still missing."""
    for actor in troupe.actors:
        actor.tell("quiet")
    deadline = time.monotonic() + seconds
    while True:
        heads = {observer.user: observer.heads() for observer in watching}
        missing = [what for actor in troupe.actors if (what := _missing(actor, *heads[actor.role.user]))]
        if not missing or time.monotonic() > deadline:
            return [f"not at rest after {seconds:g} s: {what}" for what in missing]
        time.sleep(_POLL_S)


def _missing(actor: Actor, head: int, rooms: dict[str, int]) -> str | None:
    log = actor.look()
    name = actor.role.name
    if not actor.alive:
        return f"{name} ended: {actor.errors()}"
    this_run = log[max((n for n, event in enumerate(log) if event["what"] == "start"), default=0) :]
    if not any(event["what"] == "drained" for event in this_run):
        return f"{name} waits for an answer"
    if actor.role.receives:
        reached = reached_by(log)
        if reached < head:
            return f"{name} is at {reached} of {head}"
        reached_in = reached_rooms(log)
        behind = {conv: reached_in.get(conv) for conv, at in rooms.items() if reached_in.get(conv) != at}
        if behind:
            return f"{name} is at {behind} in its rooms, of {rooms}"
    return None


def reached_by(log: list[Event]) -> int:
    """The newest seq of the newest epoch; a reset means everything there was."""
    receipts = [event for event in log if event["what"] == "receipt"]
    if not receipts:
        return 0
    if receipts[-1]["type"] == "reset":
        return MAX_NUMBER
    epoch = receipts[-1]["epoch"]
    return max(e["seq"] for e in receipts if e["epoch"] == epoch and e["seq"] is not None)


def outbox_left(url: str, seconds: float = 60.0) -> int:
    """How many batches the outbox holds, once it has had the time to be emptied."""
    engine = open_engine(url, read_only=True)

    def count() -> int:
        with engine.connect() as connection:
            return int(connection.execute(text("SELECT count(*) FROM outbox")).scalar_one())

    try:
        return settled(count, seconds)
    finally:
        engine.dispose()


def settled(count: Callable[[], int], seconds: float) -> int:
    deadline = time.monotonic() + seconds
    while (left := count()) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    return left


def broken_rules(url: str) -> list[str]:
    """What `pabal db check` finds."""
    engine = open_engine(url)
    try:
        return [
            f"pabal db check: {found.rule}: {found.breaches}" for found in check(engine) if found.breaches
        ]
    finally:
        engine.dispose()
