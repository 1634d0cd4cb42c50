"""The core, its store and a server, with a network between them that loses, doubles, delays and reorders, a server
that dies and comes back, and a client that is killed between any two of its effects. One of the conversations is
a group that becomes large in mid-run, with a room that drops entries; messages are edited, recalled and reacted to,
and groups are made and changed.
"""

import json
import shutil
from itertools import pairwise

import pytest
from fake_chat_ops import group_of
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from session_world import World

from pabal import topics
from pabal_client import effects as e

FRIENDS = st.sampled_from(["bob", "carol", "alice"])
GROUP = "gaaaaaaaaaaaa"
ROOM = topics.room(GROUP)
MAKING = "group.create"


class ChatMachine(RuleBasedStateMachine):
    """`periods` are alice's times in the group: the entries that she may see in each, and whether it ended while
    the group was large; then what had not come by the room before is not to be had any more.
    """

    @initialize(
        page=st.integers(1, 4), moves=st.booleans(), start=st.sampled_from(["away", "there", "large"])
    )
    def begin(self, page, moves, start):
        self.world = World(page)
        self.server = self.world.server
        self.highest_cursor = self.highest_place = 0
        # Who may be removed does not write to the group here: a copy of a refused request that comes late and
        # finds its sender back in the group is stored, and no server could know better.
        self.moves = moves
        self.periods = [([], False)]
        self.note_group(self.server.create_group(GROUP, "bob", "alice", "carol", limit=3))
        if start != "away":
            self.world.connect()
            self.all_goes_well_for_a_moment()
        if start == "large":
            self.note_group(self.server.join(GROUP, "dave"))
            self.all_goes_well_for_a_moment()

    def teardown(self):
        if hasattr(self, "world"):
            try:
                self.everything_arrives_in_the_end()
            finally:
                self.world.store.close()
                shutil.rmtree(self.world.folder)

    def note_group(self, out, lost=0):
        """Something was added to the group's log."""
        seen = self.periods[-1][0]
        first = seen[-1] + 1 if seen else 1
        if self.is_member():
            seen += range(first, len(self.server.log[GROUP]) + 1)
        self.world.arrive(out, lost)

    def is_member(self):
        return self.server.in_room("alice", GROUP)

    # What people do.

    @rule(friend=FRIENDS)
    def alice_sends(self, friend):
        self.send("~".join(sorted({"alice", friend})) if friend != "alice" else "alice~alice", to=friend)

    @precondition(lambda self: not self.moves)
    @rule()
    def alice_sends_to_the_group(self):
        self.send(GROUP, conv=GROUP)

    def send(self, lane, **where):
        name = f"m{next(self.world.ids)}"
        self.submit(name, lane, text=name, **where)

    def submit(self, name, lane, /, **fields):
        payload = json.dumps({"id": name, **fields}).encode()
        entry = e.Entry(name, payload, lane, durable=True)
        self.world.carry_out(self.world.session.submit(entry, self.world.now))

    @precondition(lambda self: self.own_messages())
    @rule(op=st.sampled_from(["edit", "recall", "react"]), which=st.integers(0, 50))
    def alice_does_something_about_a_message(self, op, which):
        mine = self.own_messages()
        conv, target = mine[which % len(mine)]
        name = f"m{next(self.world.ids)}"
        more = {"edit": {"text": name}, "recall": {}, "react": {"emoji": "+"}}[op]
        self.submit(name, conv, op=op, conv=conv, target=target, **more)

    def own_messages(self):
        """What the server has of alice, in conversations of two."""
        return [
            (conv, entry["message_id"])
            for conv, log in sorted(self.server.log.items())
            for entry in log
            if "~" in conv and entry["type"] == "message" and entry["from"] == "alice"
        ]

    @rule()
    def alice_makes_a_group(self):
        name = f"m{next(self.world.ids)}"
        self.submit(name, MAKING, op="group.create", name=name, members=["bob"])

    @precondition(lambda self: self.own_groups())
    @rule(which=st.integers(0, 50), op=st.sampled_from(["group.update", "group.add"]), user=FRIENDS)
    def alice_changes_a_group_of_hers(self, which, op, user):
        mine = self.own_groups()
        conv = mine[which % len(mine)]
        name = f"m{next(self.world.ids)}"
        more = {"name": name} if op == "group.update" else {"user": user, "role": "admin"}
        self.submit(name, conv, op=op, conv=conv, **more)

    def own_groups(self):
        return sorted(conv for conv, group in self.server.groups.items() if "alice" in group.roles)

    @rule(friend=st.sampled_from(["bob", "carol"]))
    def a_friend_writes(self, friend):
        _, out = self.server.commit(friend, "pc", {"to": "alice", "text": "hi"})
        self.world.arrive(out)

    @rule(lost=st.integers(0, 1), mentions=st.sampled_from([[], [], ["alice"]]))
    def a_friend_writes_to_the_group(self, lost, mentions):
        self.bob_writes(lost, mentions)

    @rule(lost=st.integers(0, 3), arrives=st.booleans())
    def a_friend_writes_a_lot_to_the_group(self, lost, arrives):
        for number in range(3):
            self.bob_writes(lost == number, [])
        if arrives:
            self.all_goes_well_for_a_moment()

    def bob_writes(self, lost, mentions):
        _, out = self.server.commit("bob", "pc", {"conv": GROUP, "text": "hi", "mentions": mentions})
        self.note_group(out, lost)

    @precondition(lambda self: "dave" not in self.server.groups[GROUP].since)
    @rule()
    def somebody_joins_the_group(self):
        """If alice is in it, it is too many for a small group then."""
        self.note_group(self.server.join(GROUP, "dave"))

    @precondition(lambda self: self.moves and self.is_member())
    @rule()
    def alice_is_removed_from_the_group(self):
        large = self.server.is_large(GROUP)
        seen, _ = self.periods.pop()
        self.world.listening.discard(ROOM)
        out = self.server.part(GROUP, "alice")
        self.periods.append(([*seen, len(self.server.log[GROUP])], large))
        self.world.arrive(out)

    @precondition(lambda self: not self.is_member())
    @rule()
    def alice_is_back_in_the_group(self):
        first = len(self.server.log[GROUP]) + 1
        out = self.server.join(GROUP, "alice")
        self.periods.append(([*range(first, len(self.server.log[GROUP]) + 1)], False))
        self.world.arrive(out)

    # What happens on the way.

    @precondition(lambda self: self.world.to_server)
    @rule(place=st.integers(0, 50), again=st.booleans())
    def a_request_reaches_the_server(self, place, again):
        self.server_hears(place % len(self.world.to_server), again=again)

    def server_hears(self, place, *, again=False):
        link, effect = self.world.to_server[place] if again else self.world.to_server.pop(place)
        before = len(self.server.log[GROUP])
        self.world.reach_server(link, effect)
        self.note_own(before)

    def note_own(self, before):
        """What alice herself wrote to the group."""
        self.periods[-1][0].extend(range(before + 1, len(self.server.log[GROUP]) + 1))

    @precondition(lambda self: self.world.connected and self.world.to_client)
    @rule(place=st.integers(0, 50), again=st.booleans())
    def something_reaches_the_client(self, place, again):
        under_way = self.world.to_client
        place %= len(under_way)
        self.world.reach_client(under_way[place] if again else under_way.pop(place))

    @precondition(lambda self: self.world.to_server)
    @rule(place=st.integers(0, 50))
    def a_request_is_lost(self, place):
        self.world.to_server.pop(place % len(self.world.to_server))

    @precondition(lambda self: self.world.connected and self.world.to_client)
    @rule(place=st.integers(0, 50))
    def an_answer_is_lost(self, place):
        self.world.to_client.pop(place % len(self.world.to_client))

    @rule(
        op=st.sampled_from(
            ["send", "sync", "ack", "history", "edit", "recall", "react", "group.create", "group.update"]
        ),
        code=st.sampled_from(["unavailable", "rate_limited"]),
    )
    def the_server_is_busy_once(self, op, code):
        self.server.refuse.setdefault(op, []).append({"error": code, "detail": "later", "retry_after": 1})

    @rule()
    def the_server_cannot_look_up_a_room_once(self):
        self.world.refuse_rooms = 1

    @rule(
        what=st.sampled_from(["the link", "the server", "the client", "the client soon"]), n=st.integers(0, 5)
    )
    def something_breaks(self, what, n):
        """One rule for all, so that a connection lives long enough for something to happen on it."""
        match what:
            case "the link":
                self.world.lose_connection()
            case "the server":
                before = len(self.server.log[GROUP])
                self.world.restart_server(read_before=n)
                self.note_own(before)
            case "the client":
                self.world.kill()
            case "the client soon":
                self.world.crash_after = n

    @precondition(lambda self: not self.world.connected)
    @rule(later=st.booleans(), well=st.booleans())
    def the_link_comes_up(self, later, well):
        if later:
            self.world.now += 60
        self.world.connect()
        if well:
            self.all_goes_well_for_a_moment()

    @rule()
    def all_goes_well_for_a_moment(self):
        before = len(self.server.log[GROUP])
        self.world.everything_under_way_arrives()
        self.note_own(before)

    @rule(seconds=st.floats(0.05, 100))
    def time_passes(self, seconds):
        self.world.now += seconds
        self.world.tick()

    @rule(friend=FRIENDS, effects=st.integers(0, 2))
    def alice_sends_and_is_killed_at_it(self, friend, effects):
        self.world.crash_after = effects
        self.alice_sends(friend)

    @rule(how_many=st.integers(1, 9))
    def the_application_takes_some(self, how_many):
        self.world.take(how_many)

    # What holds all the time, and in the end.

    @invariant()
    def the_application_got_the_inbox_in_order_and_without_a_hole(self):
        if hasattr(self, "world"):
            seqs = [update.seq for update in self.world.got if update.seq is not None]
            assert seqs == list(range(1, len(seqs) + 1))

    @invariant()
    def nothing_of_a_conversation_came_twice_or_out_of_order(self):
        if hasattr(self, "world"):
            for conv in self.server.log:
                numbers = self.got_of(conv)
                assert all(one < following for one, following in pairwise(numbers))

    @invariant()
    def of_the_group_came_what_was_said_in_ones_time_and_of_each_time_without_a_hole(self):
        if hasattr(self, "world"):
            got = self.got_of(GROUP)
            for seen, lossy in self.periods:
                came = [number for number in got if number in set(seen)]
                if lossy and seen[-1:] == came[-1:]:
                    assert came[:-1] == seen[: len(came) - 1]
                else:
                    assert came == seen[: len(came)]
            assert set(got) <= {number for seen, _ in self.periods for number in seen}

    def got_of(self, conv):
        found = [update.fields() for update in self.world.got if update.type != "mention"]
        return [one["message_id"] for one in found if one["conv"] == conv]

    @invariant()
    def the_stored_positions_never_go_back(self):
        if hasattr(self, "world"):
            store = self.world.store
            _, cursor = store.position()
            assert cursor >= self.highest_cursor
            assert cursor == sum(
                update.seq is not None
                for update in [*self.world.got, *(one.update for one in store.waiting(10_000))]
            )
            self.highest_cursor = cursor
            place = store.rooms().get(GROUP)
            if place is not None:
                assert place >= self.highest_place
                self.highest_place = place

    @invariant()
    def the_server_has_each_message_once_in_the_order_it_was_sent(self):
        if hasattr(self, "world"):
            for conv, log in self.server.log.items():
                stored = [entry["id"] for entry in log if entry["id"]]
                assert stored == self.accepted_for(conv)[: len(stored)]

    def accepted_for(self, conv):
        """The requests that the client took on for this conversation, and the one that makes it."""
        accepted = self.world.accepted
        makes = [name for name in accepted.get(MAKING, []) if group_of("alice", "phone", name) == conv]
        return makes + accepted.get(conv, [])

    @invariant()
    def the_server_is_never_told_more_than_is_on_disk(self):
        if hasattr(self, "world"):
            assert self.server.cursors.get(("alice", "phone"), 0) <= self.highest_cursor

    def everything_arrives_in_the_end(self):
        world = self.world
        world.crash_after, world.refuse_rooms = None, 0
        world.lose_connection()
        world.connect()
        for _ in range(2000):
            self.all_goes_well_for_a_moment()
            if self.is_done():
                break
            world.now = max(world.now, world.session.deadline() or world.now)
            world.tick()
            if not world.connected:
                world.connect()
        world.take(10_000)
        self.the_application_got_the_inbox_in_order_and_without_a_hole()
        self.of_the_group_came_what_was_said_in_ones_time_and_of_each_time_without_a_hole()
        self.nothing_of_a_conversation_came_twice_or_out_of_order()
        assert len([u for u in world.got if u.seq is not None]) == len(self.server.inbox["alice"])
        got = set(self.got_of(GROUP))
        assert all(lossy or got >= set(seen) for seen, lossy in self.periods)
        accepted = world.accepted
        assert sorted(world.settled) == sorted(name for names in accepted.values() for name in names)
        for conv, log in self.server.log.items():
            assert [entry["id"] for entry in log if entry["id"]] == self.accepted_for(conv)
        assert {group_of("alice", "phone", name) for name in accepted.get(MAKING, [])} == set(
            self.own_groups()
        )
        assert world.store.outbox() == []

    def is_done(self):
        session, head = self.world.session, len(self.server.inbox["alice"])
        told = self.server.cursors.get(("alice", "phone"), 0)
        follows = self.is_member() and self.server.is_large(GROUP)
        rooms = {GROUP: len(self.server.log[GROUP])} if follows else {}
        return (
            session.inbox.cursor == head == told and session.rooms.positions() == rooms and not session.outbox
        )


TestChatMachine = ChatMachine.TestCase
TestChatMachine.settings = settings(
    max_examples=120, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)
)
# Where there is no memory for files, each step is a transaction on a disk that others may be using.
TestChatMachine.pytestmark = [pytest.mark.timeout(900)]
