"""How much is under way, and whether there is room for more."""

from bridge.push.busy import Busy, Full, Limits

LIMITS = Limits(in_flight=10, per_service=3, per_host=2)


def test_a_host_has_its_share_of_its_service_and_no_more():
    busy = Busy(LIMITS, [("webpush", "slow.example")])
    assert busy.has_room("webpush", "slow.example")
    busy.add("webpush", "slow.example")
    assert not busy.has_room("webpush", "slow.example")
    assert busy.has_room("webpush", "quick.example")
    assert busy.full() == Full(frozenset(), frozenset({"slow.example"}))


def test_a_service_has_its_share_over_all_its_hosts():
    busy = Busy(LIMITS, [("webpush", "a.example"), ("webpush", "b.example"), ("webpush", "c.example")])
    assert not busy.has_room("webpush", "d.example")
    assert busy.has_room("webhook", "a.example")
    assert busy.full() == Full(frozenset({"webpush"}), frozenset())


def test_a_host_that_two_services_go_to_is_one_host():
    busy = Busy(LIMITS, [("webpush", "a.example"), ("unifiedpush", "a.example")])
    assert not busy.has_room("webhook", "a.example")


def test_where_all_of_a_service_go_to_one_host_its_own_share_counts_alone():
    busy = Busy(LIMITS, [("fcm", ""), ("fcm", "")])
    assert busy.has_room("fcm", "")
    assert busy.has_room("apns", "")
    assert busy.full() == Full(frozenset(), frozenset())
