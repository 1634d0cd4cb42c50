"""What a subscription may say in MQTT 5, and what it is sent then."""

import pytest

from broker.mqtt import packets as p
from broker.mqtt.properties import Properties
from broker.mqtt.reasons import Reason

NEW = p.RetainHandling.IF_NEW
NEVER = p.RetainHandling.NEVER


async def five(world, name="c", **fields):
    return await world.client(name, level=5, **fields)


async def subscribe(client, *filters, identifier=None):
    said = None if identifier is None else Properties(subscription_identifiers=(identifier,))
    packet_id = client.take_id()
    await client.send(p.Subscribe(packet_id, filters, said))
    while not isinstance(answer := await client.next(), p.Suback):
        pass
    return list(answer.codes)


async def test_no_local_keeps_ones_own_messages_away_and_nobody_elses(world):
    await world.open()
    client, other = await five(world), await five(world, "other")
    await subscribe(client, ("t", p.subscription_options(1, no_local=True)))
    await client.publish("t", b"own", 1)
    await other.publish("t", b"other's", 1)
    assert [one.payload for one in await client.publishes(1)] == [b"other's"]
    assert await client.until_pong() == []


async def test_no_local_holds_for_its_own_filter_alone_and_for_what_is_retained(world):
    await world.open()
    client = await five(world)
    await subscribe(client, ("t", p.subscription_options(2, no_local=True)), identifier=1)
    await subscribe(client, ("+", 1), identifier=2)
    await client.send(p.Publish("t", b"own", 1, retain=True, packet_id=9))
    got = [one for one in (await client.next(), await client.next()) if isinstance(one, p.Publish)]
    assert [(one.qos, one.properties.subscription_identifiers) for one in got] == [(1, (2,))]
    await subscribe(client, ("t", p.subscription_options(2, no_local=True)))
    assert await client.until_pong() == []


@pytest.mark.parametrize("as_published", [False, True])
async def test_the_retain_flag_goes_on_if_the_subscription_says_so(world, as_published):
    await world.open()
    client = await five(world)
    options = p.subscription_options(1, retain_as_published=as_published)
    await subscribe(client, ("t", options))
    publisher = await world.client("p")
    for retain in (False, True):
        await publisher.publish("t", b"x", 1, retain=retain)
        assert [one.retain for one in await client.publishes(1)] == [retain and as_published]
    # What a subscription finds there has the flag in any case (3.3.1.3).
    await subscribe(client, ("t/#", options))
    assert [one.retain for one in await client.publishes(1)] == [True]


@pytest.mark.parametrize(("handling", "sent"), [(0, [1, 1]), (NEW, [1, 0]), (NEVER, [0, 0])])
async def test_retain_handling_says_when_retained_messages_are_sent(world, handling, sent):
    await world.open()
    await (await world.client("p")).publish("t", b"x", 0, retain=True)
    client = await five(world)
    options = p.subscription_options(1, retain_handling=p.RetainHandling(handling))
    for expected in sent:
        await client.send(p.Subscribe(1, (("t", options),)))
        await client.expect(p.Suback)
        assert len(await client.until_pong()) == expected
    await client.unsubscribe("t")
    await client.send(p.Subscribe(1, (("t", options),)))
    await client.expect(p.Suback)
    assert len(await client.until_pong()) == sent[0]


async def test_one_message_names_all_subscriptions_that_it_came_by(world):
    await world.open()
    client = await five(world)
    await subscribe(client, ("a/b", 1), identifier=268_435_455)
    await subscribe(client, ("a/#", 2), identifier=7)
    await subscribe(client, ("+/b", 0))
    await (await world.client("p")).publish("a/b", b"x", 2)
    (one,) = await client.publishes(1)
    assert (one.qos, one.properties.subscription_identifiers) == (2, (7, 268_435_455))
    await subscribe(client, ("a/b", 1), identifier=8)
    await subscribe(client, ("a/#", 1))
    await (await world.client("p")).publish("a/b", b"x", 0)
    (one,) = await client.publishes(1)
    assert (one.qos, one.properties.subscription_identifiers) == (0, (8,))


async def test_retained_messages_name_the_subscription_that_found_them(world):
    await world.open()
    await (await world.client("p")).publish("t", b"x", 1, retain=True)
    client = await five(world)
    await client.send(p.Subscribe(1, (("t", 1),), Properties(subscription_identifiers=(3,))))
    await client.expect(p.Suback)
    (one,) = await client.publishes(1)
    assert one.properties.subscription_identifiers == (3,)


async def test_every_filter_is_answered_with_its_reason(world):
    await world.start()
    client = await world.device("alice:phone", level=5)
    filters = ("pabal/v1/down/alice/phone", "pabal/v1/down/bob/phone", "a/#/b", "$share/g", "$share/+/t")
    assert await subscribe(client, *((name, 2) for name in filters)) == [
        2,
        Reason.NOT_AUTHORIZED,
        Reason.TOPIC_FILTER_INVALID,
        Reason.TOPIC_FILTER_INVALID,
        Reason.TOPIC_FILTER_INVALID,
    ]
    await client.send(p.Unsubscribe(1, ("pabal/v1/down/alice/phone", "never")))
    assert list((await client.expect(p.Unsuback)).codes) == [0, Reason.NO_SUBSCRIPTION_EXISTED]


async def test_a_store_that_fails_is_told_and_may_be_asked_again(world):
    await world.open(stored=True)
    client = await world.client("c", level=5, properties=Properties(session_expiry_interval=100))
    world.store.gate.broken = True
    assert await subscribe(client, ("t", 1)) == [Reason.UNSPECIFIED_ERROR]
    world.store.gate.broken = False
    assert await subscribe(client, ("t", 1)) == [1]
    world.store.gate.broken = True
    await client.send(p.Unsubscribe(1, ("t",)))
    assert list((await client.expect(p.Unsuback)).codes) == [Reason.UNSPECIFIED_ERROR]
    assert "t" in world.broker.subscriptions


# -- shared subscriptions


async def members(world, *names, qos=1, **fields):
    clients = [await five(world, name, **fields) for name in names]
    for client in clients:
        assert await subscribe(client, ("$share/g/t/#", qos)) == [qos]
    return clients


async def test_each_message_goes_to_one_member_and_a_topic_always_to_the_same(world):
    await world.open()
    clients = await members(world, "one", "two", "three")
    publisher = await world.client("p")
    for number in range(90):
        await publisher.publish(f"t/{number % 30}", b"%d" % number, 1)
    got = [[m for m in await client.until_pong() if isinstance(m, p.Publish)] for client in clients]
    assert sum(map(len, got)) == 90
    assert all(got)
    topics = [{m.topic for m in mine} for mine in got]
    assert sum(map(len, topics)) == 30
    for mine in got:
        assert [int(m.payload) for m in mine] == sorted(int(m.payload) for m in mine)


async def test_groups_and_plain_subscriptions_do_not_know_of_each_other(world):
    await world.open()
    (client,) = await members(world, "one")
    await subscribe(client, ("$share/other/t/#", 0))
    await subscribe(client, ("t/1", 1))
    await (await world.client("p")).publish("t/1", b"x", 1)
    assert sorted(one.qos for one in await client.publishes(3)) == [0, 1, 1]
    assert await client.until_pong() == []


async def test_a_client_of_311_may_share_too(world):
    await world.open()
    client = await world.client("c")
    assert await client.subscribe(("$share/g/t", 1), ("$share/g", 1)) == b"\x01\x80"
    await (await world.client("p")).publish("t", b"x", 1)
    assert [one.topic for one in await client.publishes(1)] == ["t"]
    await client.unsubscribe("$share/g/t")
    await (await world.client("p")).publish("t", b"x", 1)
    assert await client.until_pong() == []
    assert not world.broker._hub._groups


async def test_no_local_cannot_be_shared(world):
    await world.open()
    client = await five(world)
    await client.send(p.Subscribe(1, (("$share/g/t", p.subscription_options(1, no_local=True)),)))
    assert [one.reason for one in await client.closed()] == [Reason.PROTOCOL_ERROR]


async def test_what_is_retained_is_not_sent_for_a_shared_subscription(world):
    await world.open()
    await (await world.client("p")).publish("t/1", b"x", 1, retain=True)
    (client,) = await members(world, "one")
    assert await client.until_pong() == []


async def test_rules_are_about_the_filter_that_is_shared(world):
    await world.open(deny=("no/#",))
    client = await five(world)
    assert await subscribe(client, ("$share/g/no/1", 1), ("$share/g/yes", 1)) == [0x80, 1]
    await world.kill()
    await world.start()
    phone = await world.device("alice:phone", level=5)
    assert await subscribe(phone, ("$share/g/pabal/v1/inbox/bob", 1)) == [Reason.NOT_AUTHORIZED]
    assert await subscribe(phone, ("$share/g/pabal/v1/inbox/alice", 1)) == [
        Reason.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED
    ]


LASTING = {"properties": Properties(session_expiry_interval=1000)}


@pytest.mark.parametrize("fields", [{}, LASTING])
async def test_what_a_member_that_goes_has_not_acknowledged_goes_to_another(world, fields):
    await world.open()
    one, two = await members(world, "one", "two", **fields)
    publisher = await world.client("p")
    for number in range(20):
        await publisher.publish(f"t/{number}", b"%d" % number, 1)
    held = [m for m in await one.until_pong() if isinstance(m, p.Publish)]
    own = [m for m in await two.until_pong() if isinstance(m, p.Publish)]
    assert held
    one.cut()
    late = await two.publishes(len(held), ack=False)
    assert [m.payload for m in late] == [m.payload for m in held]
    assert len(own) + len(late) == 20
    assert await two.until_pong() == []


async def test_a_member_that_leaves_the_group_gets_what_was_begun_and_the_rest_goes_to_another(world):
    await world.open(window=2)
    (one,) = await members(world, "one")
    publisher = await world.client("p")
    for number in range(5):
        await publisher.publish("t/1", b"%d" % number, 1)
    begun = await one.publishes(2, ack=False)
    (two,) = await members(world, "two")
    assert await two.until_pong() == []
    await one.unsubscribe("$share/g/t/#")
    assert [m.payload for m in await two.publishes(3, ack=True)] == [b"2", b"3", b"4"]
    await one.send(*(p.Puback(m.packet_id) for m in begun))
    await one.ping()


async def test_what_is_with_a_member_at_qos_2_goes_to_nobody_else(world):
    await world.open()
    one, two = await members(world, "one", "two", qos=2, **LASTING)
    hub = world.broker._hub
    publisher = await world.client("p")
    for number in range(20):
        await publisher.publish(f"t/{number}", b"%d" % number, 2)
    held = {m.payload for m in await one.until_pong() if isinstance(m, p.Publish)}
    await two.until_pong()
    assert held
    await one.disconnect()
    assert await two.until_pong() == []
    again = await five(world, "one", clean=False, **LASTING)
    assert {m.payload for m in await again.until_pong() if isinstance(m, p.Publish)} == held
    assert len(hub.sessions["one"].inflight) == len(held)


async def test_while_all_members_are_away_one_keeps_the_messages_for_who_comes_first(world):
    await world.open()
    one, two = await members(world, "one", "two", **LASTING)
    await one.disconnect()
    await two.disconnect()
    publisher = await world.client("p")
    for number in range(20):
        await publisher.publish(f"t/{number}", b"%d" % number, 1)
    again = await five(world, "two", clean=False, **LASTING)
    got = await again.publishes(20)
    assert sorted(int(m.payload) for m in got) == list(range(20))
    assert await again.until_pong() == []
    assert await (await five(world, "one", clean=False, **LASTING)).until_pong() == []


async def test_a_session_that_ends_leaves_its_share_to_one_that_is_away(world):
    await world.open()
    one, two = await members(world, "one", "two", **LASTING)
    await one.disconnect()
    await two.disconnect()
    publisher = await world.client("p")
    for number in range(20):
        await publisher.publish(f"t/{number}", b"%d" % number, 1)
    await (await five(world, "one")).disconnect()
    again = await five(world, "two", clean=False, **LASTING)
    assert len(await again.publishes(20)) == 20


async def test_the_topics_that_a_group_remembers_are_bounded(world):
    await world.open()
    await members(world, "one")
    hub = world.broker._hub
    (group,) = hub._groups.values()
    for number in range(10_000):
        group.member_for(f"t/{number}")
    assert len(group._cache) <= 4_096
