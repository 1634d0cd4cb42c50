"""The life of a group by chance, several requests in one transaction, against a model that fits on a page.

PABAL_GROUP_LIVES says how many lives of each kind are lived; many take long, and are for whoever changes the rules.
"""

import os
import shutil
from pathlib import Path

import msgspec
import pytest
from group_model import GroupModel
from group_world import START_MS
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from migrated import migrated_sqlite
from sqlalchemy import text

from bridge.ports import Source
from bridge.push_commands import NoTargets
from bridge.reads import Reads
from bridge.requests import command_of
from bridge.store import meta
from bridge.store.engine import open_engine, sqlite_url
from bridge.store.lease import NullLease
from bridge.store.read_store import ReadStore
from bridge.store.relay_store import Batch, RelayStore
from bridge.store.writer import Writer
from pabal import codec
from pabal.errors import PabalError
from pabal.ids import DeviceId, UserId

LIVES = int(os.environ.get("PABAL_GROUP_LIVES", "6"))
PHASES = [Phase.generate, Phase.shrink] if "PABAL_GROUP_LIVES" in os.environ else [Phase.generate]
PEOPLE = ("ann", "ben", "cat", "dan", "eve")
USES = 3

who = st.sampled_from(PEOPLE)
# Entries near the end are asked about most.
back = st.integers(0, 12)
acts = st.one_of(
    st.tuples(st.just("send"), who),
    st.tuples(st.sampled_from(["edit", "recall", "react", "read"]), who, back),
    st.tuples(st.sampled_from(["add", "remove"]), who, who),
    st.tuples(st.just("promote"), who, who, st.sampled_from(["owner", "admin", "member"])),
    st.tuples(st.just("silence"), who, who, st.sampled_from([None, 0, -1, 5, 20])),
    st.tuples(
        st.just("update"), who, st.sampled_from(["join", "all"]), st.sampled_from(["all", "all", "admins"])
    ),
    st.tuples(st.sampled_from(["leave", "join"]), who),
    st.tuples(st.just("again"), st.integers(0, 99)),
)


class GroupLife(RuleBasedStateMachine):
    """One group over a file of its own; `template` is a migrated database with the people in it."""

    def __init__(self, template: Path, small_limit: int) -> None:
        super().__init__()
        self.folder = template.parent / "life"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        shutil.copy(template, self.folder / template.name)
        self.engine = open_engine(sqlite_url(self.folder))
        begun = meta.begin(self.engine, lambda _now: None, lambda: "e")
        self.now = START_MS
        self.store = RelayStore(
            Writer(self.engine, NullLease(), begun.batch),
            epoch="e",
            clock_ms=lambda: self.now,
            small_limit=small_limit,
        )
        self.reads = Reads(ReadStore(self.engine), "e", lambda: self.now)
        self.model = GroupModel(small_limit, self.now)
        self.count = 0
        self.sent: list[tuple[str, dict]] = []
        self.inboxes: dict[str, list[tuple]] = {}
        self.room: list[tuple] = []

    def teardown(self) -> None:
        self.engine.dispose()

    @initialize()
    def begin(self) -> None:
        made = self.commit(
            [("ann", {"op": "group.create", "id": "g", "name": "x", "members": ["ben", "cat"]})]
        )
        self.conv = made[0]["conv"]
        self.model.create("ann", ["ben", "cat"])
        ask = ("ann", {"op": "group.invite", "id": "i", "conv": self.conv, "uses": USES})
        self.code = self.commit([ask])[0]["code"]
        self.model.uses_left = USES

    @rule(batch=st.lists(acts, min_size=1, max_size=4))
    def happen(self, batch) -> None:
        """One transaction."""
        pairs = [self.prepared(*act) for act in batch]
        replies = self.commit([asked for asked, _expected in pairs])
        for (asked, expected), reply in zip(pairs, replies, strict=True):
            got = reply.get("message_id", 0) if reply["ok"] else reply["error"]
            assert got == expected, (asked, reply)

    @rule(seconds=st.integers(1, 10))
    def wait(self, seconds) -> None:
        self.now += 1000 * seconds
        self.model.now = self.now

    @rule(user=who, luck=st.integers(0, 9))
    def dissolve(self, user, luck) -> None:
        if luck == 0:
            (asked, expected) = self.prepared("dissolve", user)
            [reply] = self.commit([asked])
            assert (reply.get("message_id") or reply["error"]) == expected

    def prepared(self, act, *given):  # noqa: C901, PLR0912 -- one case for each thing that can be asked
        """The request, and what the model says to it, which has happened there by now."""
        model, conv = self.model, self.conv
        if act == "again":
            known = [one for one in self.sent if one[1]["id"] in model.asked]
            if known:
                asked = known[given[0] % len(known)]
                return asked, model.asked[asked[1]["id"]]
            act, given = "send", ("ann",)
        user, *rest = given
        fields: dict = {"conv": conv}
        match act, rest:
            case "send", []:
                op, expected, fields = "send", model.send(user), {"conv": conv, "text": "x"}
            case (("edit" | "recall" | "react"), [back]):
                target = max(1, len(model.log) + 1 - back)
                op, expected = act, getattr(model, act)(user, target)
                fields |= {"target": target} | {"edit": {"text": "y"}, "react": {"emoji": "+"}}.get(act, {})
            case "read", [back]:
                number = max(1, len(model.log) + 1 - back)
                op, expected = "read", model.read(user, number)
                fields["message_id"] = number
            case "promote", [other, role]:
                op, expected = "group.add", model.add(user, other, role)
                fields |= {"user": other, "role": role}
            case (("add" | "remove"), [other]):
                op, expected = f"group.{act}", getattr(model, act)(user, other)
                fields["user"] = other
            case "silence", [other, seconds]:
                op, until = "group.mute", seconds
                if seconds:
                    until = model.now + 1000 * seconds
                    fields["until"] = until
                expected = model.silence(user, other, until)
                fields |= {"user": other} | ({"remove": True} if seconds == 0 else {})
            case "update", [history, posting]:
                op, expected = "group.update", model.update(user, history, posting)
                fields |= {"history": history, "posting": posting}
            case "join", []:
                op, expected, fields = "group.join", model.join(user), {"code": self.code}
            case _:
                op, expected = f"group.{act}", getattr(model, act)(user)
        self.count += 1
        asked = (user, {"op": op, "id": f"r{self.count}", **fields})
        self.sent.append(asked)
        if isinstance(expected, int) and op != "read":
            model.asked[asked[1]["id"]] = expected
        return asked, expected

    def commit(self, asked) -> list[dict]:
        commands = []
        for user, request in asked:
            read = codec.decode_request(msgspec.json.encode(request))
            assert not isinstance(read, codec.Rejected), read
            commands.append(command_of(Source(UserId(user), DeviceId("d")), read, NoTargets()))
        done = self.store.commit(Batch(commands))
        for user, updates in done.deliveries.items():
            inbox = self.inboxes.setdefault(user, [])
            for seq, payload in updates:
                update = msgspec.json.decode(payload)
                assert seq == update["seq"] == len(inbox) + 1, "dense"
                inbox.append((update["type"], update["message_id"], update.get("action")))
        for _conv, payload in done.rooms:
            entry = msgspec.json.decode(payload)
            self.room.append((entry["type"], entry["message_id"], entry.get("action")))
        return [
            {"ok": False, "error": one.code} if isinstance(one, PabalError) else msgspec.json.decode(one)
            for one in done.outcomes
        ]

    @invariant()
    def each_was_told_what_is_theirs(self) -> None:
        assert self.inboxes == self.model.inboxes
        assert self.room == self.model.room

    @invariant()
    def each_sees_what_is_theirs(self) -> None:
        for user in PEOPLE:
            listed = msgspec.json.decode(self.reads.conversations(UserId(user), None, 10))["conversations"]
            if user not in self.model.members:
                assert listed == []
                continue
            [row] = listed
            assert (row["head"], row["unread"]) == (len(self.model.log), self.model.unread(user))
            page = msgspec.json.decode(self.reads.history(UserId(user), self.conv, None, 0, 200))
            assert [item["message_id"] for item in page["items"]] == self.model.visible(user)[:200]
            shown = msgspec.json.decode(self.reads.group(UserId(user), self.conv, None, 10))["members"]
            roles = {name: one.role for name, one in self.model.members.items()}
            assert {one["user"]: one["role"] for one in shown} == roles
            owners = [role for role in roles.values() if role == "owner"]
            assert owners == ["owner"], "one owner, as long as there is anybody"


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("group-life")
    engine = open_engine(migrated_sqlite(folder))
    with engine.begin() as connection:
        for user in PEOPLE:
            row = {"u": user}
            connection.execute(
                text(
                    "INSERT INTO account (user_id, state, admin, created_ts) VALUES (:u, 'active', false, 0)"
                ),
                row,
            )
    engine.dispose()
    return folder / Path(engine.url.database).name


@pytest.mark.parametrize("small_limit", [100, 3, 2], ids=["small", "becomes large", "large"])
def test_whatever_happens_in_a_group_the_model_says_the_same(template, small_limit):
    run_state_machine_as_test(
        lambda: GroupLife(template, small_limit),
        settings=settings(
            max_examples=LIVES,
            stateful_step_count=30,
            derandomize=True,
            database=None,
            deadline=None,
            # What fails is shown as it was; making it shorter may take minutes.
            phases=PHASES,
            suppress_health_check=list(HealthCheck),
        ),
    )
