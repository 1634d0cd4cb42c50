"""Members that come and go while everything else breaks, in groups that grow large.

The lane asks as a device of the users does, over HTTP and through the proxy, again and again under one id until it is
answered; sometimes twice at the same moment. It is the only one that changes members, so it knows who is in.
"""

import contextlib
import random
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from faultlab.cast import EXTRAS, OBSERVER, Cast
from faultlab.lanes import Lane, Stage
from faultlab.recorder import Event, Recorder
from faultlab.server import LabError

_TIMEOUT_S = 6.0
_AGAIN_S = 0.2
_PATIENCE_S = 120.0
_MOST_GROUPS = 6
_NEW_SHARE = 0.04
_TWICE_SHARE = 0.25
_ADD_SHARE = 0.65
_SAID_IN_ROOM = 3


@dataclass
class Club:
    """A group as it must be by now. `after_switch` counts the changes since it became large."""

    conv: str
    members: set[str] = field(default_factory=set)
    after_switch: int = 0
    large: bool = False


class Steward:
    """One user's device that changes groups. Its log is evidence like any other."""

    def __init__(self, user: str, secret: str, port: int, log: Path) -> None:
        self.name = f"{user}:{OBSERVER}"
        self.log = log
        self._recorder = Recorder(log)
        self._asked = 0
        self._secret = secret
        self._url = f"http://127.0.0.1:{port}/v1/requests"

    def ask(self, action: str, user: str, request: Event, times: int) -> Event | None:
        """The answer; None where it was refused. Raises: LabError if there is none for long."""
        self._asked += 1
        asked = {"id": f"{OBSERVER}.{self._asked}", **request}
        self._recorder.note("change", action=action, **{"user": user, **asked})
        answers: list[Event | None] = []

        def answer() -> None:
            with contextlib.suppress(LabError):
                answers.append(self._answer(action, user, asked))

        threads = [threading.Thread(target=answer, daemon=True) for _ in range(times)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(2 * _PATIENCE_S)
        if len(answers) < times:
            raise LabError(f"{self.name}: {asked} was not answered within {_PATIENCE_S:g} s")
        return next((answer for answer in answers if answer), None)

    def _answer(self, action: str, user: str, asked: Event) -> Event | None:
        said = self._post(asked)
        if said.get("ok"):
            known = {name: said[name] for name in ("conv", "message_id", "dup")}
            self._recorder.note("changed", id=asked["id"], action=action, user=user, **known)
            return said
        self._recorder.note("refused", id=asked["id"], conv=asked.get("conv"), error=said.get("error"))
        return None

    def _post(self, asked: Event) -> Event:
        deadline = time.monotonic() + _PATIENCE_S
        headers = {"Authorization": f"Bearer {self._secret}"}
        while time.monotonic() < deadline:
            try:
                answer = httpx2.post(self._url, json=asked, headers=headers, timeout=_TIMEOUT_S)
                if answer.status_code not in {429, 502, 503}:
                    said: Event = answer.json()
                    return said
            except (httpx2.HTTPError, ValueError):
                pass
            time.sleep(_AGAIN_S)
        raise LabError(f"{self.name}: nobody answers {asked}")

    def close(self) -> None:
        self._recorder.close()


class GroupLane(Lane):
    """Its deck is one act, which chooses what to change. It does not end before one group has become large."""

    def __init__(self, stage: Stage, cast: Cast, folder: Path, seed: int, pace_s: float) -> None:
        self._members = random.Random(f"groups {seed}")
        self._clubs: list[Club] = []
        self._restored_at: float | None = None
        self._limit = stage.small_limit
        self.switches = 0
        self.stewards = {
            user: Steward(
                user, cast.secrets[f"{user}:{OBSERVER}"], stage.http.port, folder / f"{user}-{OBSERVER}.log"
            )
            for user in cast.users
        }
        self._owner, *self._others = cast.users
        super().__init__(stage, self._members, {"": self._change}, pause_s=pace_s)

    def _run(self) -> None:
        super()._run()
        try:
            while self.failure is None and not any(
                club.after_switch >= _SAID_IN_ROOM for club in self._clubs
            ):
                self._change()
        except BaseException as failure:  # noqa: BLE001 -- told by `join`, in the thread that can act on it
            self.failure = failure
        for steward in self.stewards.values():
            steward.close()

    def _count(self, name: str) -> None:
        """What is done here is no fault, and counted apart."""

    def _change(self) -> None:
        if self._stage.restored_at != self._restored_at:
            # Nobody knows what of them is still there.
            self._restored_at = self._stage.restored_at
            self._clubs.clear()
        chance = self._members
        if not self._clubs or (len(self._clubs) < _MOST_GROUPS and chance.random() < _NEW_SHARE):
            self._create()
            return
        club = chance.choice(self._clubs)
        inside = sorted(club.members - {self._owner})
        outside = sorted(set(self._others) - club.members)
        if outside and (not inside or chance.random() < _ADD_SHARE):
            self._apply(club, "joined", self._owner, self._one_of(outside))
        else:
            user = self._one_of(inside)
            self._apply(club, *(("left", user) if chance.random() < 0.4 else ("removed", self._owner)), user)

    def _one_of(self, users: list[str]) -> str:
        """Rather one with devices, who has something to lose."""
        weights = [1 if user in EXTRAS else 3 for user in users]
        return self._members.choices(users, weights)[0]

    def _create(self) -> None:
        size = self._members.randint(1, self._limit)
        members = self._members.sample(self._others, size)
        request = {"op": "group.create", "name": "club", "members": members}
        answer = self._ask(self._owner, "created", self._owner, request)
        if answer is not None:
            club = Club(answer["conv"], {self._owner, *members}, large=len(members) >= self._limit)
            self._clubs.append(club)
            self.switches += club.large

    def _apply(self, club: Club, action: str, by: str, user: str) -> None:
        request: Event = {"op": _OPS[action], "conv": club.conv}
        if action != "left":
            request["user"] = user
        if self._ask(by, action, user, request) is None:
            return
        if action == "joined":
            club.members.add(user)
        else:
            club.members.discard(user)
        if club.large:
            club.after_switch += 1
        elif len(club.members) > self._limit:
            club.large = True
            self.switches += 1

    def _ask(self, by: str, action: str, user: str, request: Event) -> Event | None:
        times = 2 if self._members.random() < _TWICE_SHARE else 1
        answer = self.stewards[by].ask(action, user, request, times)
        self._stage.changes[action] += answer is not None
        return answer


_OPS = {"joined": "group.add", "removed": "group.remove", "left": "group.leave"}
