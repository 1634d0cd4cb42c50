"""Messages on their way to MQTT sessions, in both kinds of databases."""

from bridge_fakes import FakeBroker

from bridge.build import Bridge
from bridge.ports import QueueChanges, StoredDelivery, StoredQueues, StoredSession

EMPTY = StoredQueues({}, [], {}, [])


def delivery(client_id: str, place: int, message: int, options: int = 1) -> StoredDelivery:
    return StoredDelivery(client_id, place, message, place + 100, options, None)


async def test_what_is_saved_is_there_after_a_restart_in_order(harness, url):
    sessions = harness.bridge.sessions
    assert await sessions.load_queues() == EMPTY
    await sessions.save_session(StoredSession("b", None, None, {}, expiry=7), at_head=False)
    changes = QueueChanges(
        messages=[(1, b"\x00\xff"), (2, "파발".encode()), (3, b"")],
        deliveries=[
            delivery("b", 12, 2),
            StoredDelivery("b", 3, 1, 65_535, 6, '{"identifiers":[1]}'),
            delivery("a", 4, 1),
        ],
        sent=[("b", 5), ("nobody", 9)],
        taken=[("b", 65_535), ("a", 1)],
    )
    await sessions.save_queues(changes)
    await harness.bridge.stop()
    again = Bridge(url)
    await again.start(FakeBroker())
    assert await again.sessions.load_queues() == StoredQueues(
        {1: b"\x00\xff", 2: "파발".encode(), 3: b""},
        [
            delivery("a", 4, 1),
            StoredDelivery("b", 3, 1, 65_535, 6, '{"identifiers":[1]}'),
            delivery("b", 12, 2),
        ],
        {"b": 5},
        [("a", 1), ("b", 65_535)],
    )
    assert [row.expiry for row in await again.sessions.load_sessions()] == [7]
    await again.stop()


async def test_saving_twice_is_saving_once(harness):
    sessions = harness.bridge.sessions
    changes = QueueChanges(messages=[(1, b"x")], deliveries=[delivery("a", 1, 1)], taken=[("a", 1)])
    await sessions.save_queues(changes)
    await sessions.save_queues(changes)
    stored = await sessions.load_queues()
    assert (stored.messages, stored.deliveries) == ({1: b"x"}, [delivery("a", 1, 1)])
    assert stored.incoming == [("a", 1)]


async def test_what_is_done_gone_released_and_given_back_goes_and_nothing_else(harness):
    sessions = harness.bridge.sessions
    await sessions.save_session(StoredSession("a", None, None), at_head=False)
    await sessions.save_queues(
        QueueChanges(
            messages=[(number, b"x") for number in (1, 2, 3)],
            deliveries=[delivery(client, place, 1) for client in "ab" for place in (1, 2, 3)],
            taken=[("a", 1), ("a", 2), ("b", 1)],
            sent=[("a", 3)],
        )
    )
    await sessions.save_queues(
        QueueChanges(
            done=[("a", 1), ("b", 2)],
            gone=[2],
            released=[("a", 2, 10)],
            given_back=[("a", 1)],
            sent=[("a", 2)],
        )
    )
    assert await sessions.load_queues() == StoredQueues(
        {1: b"x", 3: b"x"},
        [delivery("a", 2, 1, 10), delivery("a", 3, 1), delivery("b", 1, 1), delivery("b", 3, 1)],
        {"a": 3},
        [("a", 2), ("b", 1)],
    )
    # What is purged goes before what comes anew.
    await sessions.save_queues(
        QueueChanges(purged=[("a", 2)], deliveries=[delivery("a", 9, 3)], taken=[("a", 7)])
    )
    stored = await sessions.load_queues()
    assert [(row.client_id, row.place) for row in stored.deliveries] == [
        ("a", 3),
        ("a", 9),
        ("b", 1),
        ("b", 3),
    ]
    assert stored.incoming == [("a", 7), ("b", 1)]


async def test_a_session_that_is_deleted_takes_its_rows_along(harness):
    sessions = harness.bridge.sessions
    for name in "ab":
        await sessions.save_session(StoredSession(name, None, None), at_head=False)
    await sessions.save_queues(
        QueueChanges(
            messages=[(1, b"x")],
            deliveries=[delivery("a", 1, 1), delivery("b", 2, 1)],
            taken=[("a", 1), ("b", 1)],
        )
    )
    await sessions.delete_session("a")
    stored = await sessions.load_queues()
    assert [row.client_id for row in stored.deliveries] == ["b"]
    assert (stored.sent, stored.incoming) == ({"b": 0}, [("b", 1)])
