import pytest
from redis_server import RedisServer, link_to

from bridge.backplane import names
from bridge.backplane.link import Away
from bridge.backplane.mirror import EVERY_S, LocalMirror, SharedMirror, SharedStates

PEOPLE = ("alice", "bob", "carol")


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def mirror_of(link, clock, generation=7):
    made = SharedMirror(link, lambda: None, clock=clock)
    made.begin(generation)
    return made


@pytest.fixture
def pair(shared, clock):
    """`(mirror, bring up to date, states)`."""
    if shared is None:
        made = LocalMirror()
        return made, lambda: None, made
    mirror = mirror_of(shared, clock)
    return mirror, mirror.run, SharedStates(shared)


def test_what_others_are_told_is_there_and_nothing_else_is(pair):
    mirror, run, states = pair
    mirror.changed("alice", "online")
    mirror.changed("bob", "away")
    run()
    assert states(PEOPLE) == {"alice": "online", "bob": "away", "carol": "offline"}
    mirror.changed("alice", "offline")
    mirror.changed("carol", "online")
    run()
    assert states(PEOPLE) == {"alice": "offline", "bob": "away", "carol": "online"}


def test_with_nobody_there_it_is_known_that_nobody_is(pair):
    _mirror, run, states = pair
    run()
    assert states(PEOPLE) == dict.fromkeys(PEOPLE, "offline")


def test_a_copy_that_is_not_whole_is_none(server, link, clock):
    states, mirror = SharedStates(link), mirror_of(link, clock)
    assert states(PEOPLE) is None
    mirror.changed("alice", "online")
    mirror.run()
    server.ask("HDEL", names.PRESENCE, "")
    assert states(PEOPLE) is None


def test_many_people_are_written_in_steps_of_which_none_is_taken_for_the_whole(server, link, clock):
    mirror = mirror_of(link, clock)
    for number in range(2_500):
        mirror.changed(f"u{number}", "online")
    written = []

    class Watching:
        def ask(self, *words):
            answer = link.ask(*words)
            written.append(SharedStates(link)(["u0"]))
            return answer

    mirror._link = Watching()
    mirror.run()
    assert written == [None, None, {"u0": "online"}]
    assert SharedStates(link)(["u2499"]) == {"u2499": "online"}
    assert server.ask("HLEN", names.PRESENCE) == 2_501


def test_after_redis_was_emptied_all_of_it_is_written_again_soon(server, link, clock):
    mirror, states = mirror_of(link, clock), SharedStates(link)
    mirror.changed("alice", "online")
    mirror.run()
    server.ask("FLUSHALL")
    assert states(PEOPLE) is None
    mirror.run()
    assert states(PEOPLE) is None
    clock.now += EVERY_S
    mirror.run()
    assert states(PEOPLE) == {"alice": "online", "bob": "offline", "carol": "offline"}


def test_a_change_finds_out_too(server, link, clock):
    mirror, states = mirror_of(link, clock), SharedStates(link)
    mirror.changed("alice", "online")
    mirror.run()
    server.ask("FLUSHALL")
    mirror.changed("bob", "away")
    mirror.run()
    assert states(PEOPLE) == {"alice": "online", "bob": "away", "carol": "offline"}


def test_what_changed_while_redis_was_away_is_there_when_it_is_back(own: RedisServer, clock):
    link = link_to(own, timeout_s=0.1)
    mirror = mirror_of(link, clock)
    mirror.changed("alice", "online")
    mirror.run()
    own.kill()
    mirror.changed("alice", "offline")
    mirror.changed("bob", "online")
    with pytest.raises(Away):
        mirror.run()
    own.start()
    link.close()
    link = mirror._link = link_to(own)
    clock.now += EVERY_S
    mirror.run()
    assert SharedStates(link)(PEOPLE) == {"alice": "offline", "bob": "online", "carol": "offline"}
    link.close()


def test_it_goes_by_itself_when_its_relay_says_nothing(link, clock):
    mirror = SharedMirror(link, lambda: None, ttl_s=0.001, clock=clock)
    mirror.begin(7)
    mirror.changed("alice", "online")
    mirror.run()
    while SharedStates(link)(PEOPLE) is not None:
        pass


def test_a_relay_that_was_replaced_writes_nothing_into_the_copy_of_the_next_one(link, clock):
    old, new = mirror_of(link, clock, 7), mirror_of(link, clock, 8)
    old.changed("alice", "online")
    old.run()
    new.changed("bob", "online")
    new.run()
    states = SharedStates(link)
    assert states(PEOPLE) == {"alice": "offline", "bob": "online", "carol": "offline"}
    old.changed("carol", "online")
    old.run()
    clock.now += EVERY_S
    old.run()
    assert states(PEOPLE) == {"alice": "offline", "bob": "online", "carol": "offline"}


def test_without_redis_nothing_is_known(own: RedisServer):
    own.kill()
    link = link_to(own)
    assert SharedStates(link)(PEOPLE) is None
    link.close()
