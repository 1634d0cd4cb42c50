"""Who checks the checker: a clean history passes, and for each rule there is one that breaks it and is caught."""

import pytest
from faultlab.checker import RULES, check
from faultlab.doctored import DOCTORED, receipts
from faultlab.doctored_clubs import DOCTORED_CLUBS
from faultlab.histories import CLUB, DIRECT, clean, club

ALL = (*DOCTORED, *DOCTORED_CLUBS)


@pytest.mark.parametrize("story", [clean, club])
def test_a_clean_history_passes(story):
    assert check(story()) == []


@pytest.mark.parametrize("doctored", ALL, ids=lambda doctored: doctored.name)
def test_a_broken_promise_is_noticed_by_its_rule(doctored):
    evidence = doctored.story()
    doctored.change(evidence)
    assert doctored.rule in {violation.rule for violation in check(evidence)}


def test_every_rule_has_a_history_that_breaks_it():
    assert {doctored.rule for doctored in ALL} == set(RULES)


def test_what_was_never_acknowledged_may_be_missing_everywhere():
    evidence = clean()
    evidence.logs["ann:phone"].append(
        {"what": "invoke", "text": "ann:phone 4", "size": 12, "id": "x", "conv": DIRECT, "t": 80.0}
    )
    assert check(evidence) == []


def test_what_was_acknowledged_before_a_backup_was_restored_may_be_gone():
    evidence = clean()
    evidence.logs["ann:phone"].append(
        {"what": "reply", "id": "x", "text": None, "conv": DIRECT, "message_id": 9, "ok": True, "t": 50.0}
    )
    assert [violation.rule for violation in check(evidence)] == ["what was acknowledged is stored"]
    evidence.restored_at = 60.0
    assert check(evidence) == []
    evidence.restored_at = 40.0
    assert len(check(evidence)) == 1


def test_a_plain_client_may_be_sent_again_what_it_had_acknowledged_last():
    evidence = clean()
    for seq in (6, 7):
        evidence.logs["ben:pager"].append({**receipts(evidence, "ben:pager")[seq - 1], "via": 3, "t": 95.0})
    assert check(evidence) == []


def test_a_sensor_without_ids_may_be_stored_twice_but_not_lost():
    evidence = clean()
    evidence.kinds["ann:twin"] = "sensor"
    evidence.logs["ann:twin"][2].update(id=None, message_id=None)
    assert check(evidence) == []
    evidence.logs["ann:twin"].append({**evidence.logs["ann:twin"][2], "text": "ann:twin 2"})
    assert [violation.rule for violation in check(evidence)] == ["what was acknowledged is stored"]


def test_many_violations_of_a_kind_are_summed_up():
    evidence = clean()
    evidence.complaints += [str(number) for number in range(20)]
    assert [violation.detail for violation in check(evidence)] == ["0", "1", "2", "3", "4", "and 15 more"]


def test_who_was_once_no_member_may_be_told_so():
    evidence = club()
    refused = {"what": "refused", "id": "x", "conv": CLUB, "error": "not_a_member", "t": 99.0}
    evidence.logs["dan:pager"].append(refused)
    evidence.logs["dan:pager"].append({"what": "room refused", "conv": CLUB, "t": 99.0})
    assert check(evidence) == []


def test_what_a_room_lost_may_come_from_history():
    evidence = club()
    for event in evidence.logs["ben:desk"]:
        if event["what"] == "room" and event["message_id"] in {11, 12}:
            event["what"] = "entry"
    assert check(evidence) == []


def test_after_a_restored_backup_rooms_are_followed_from_anywhere_and_only_from_then_on():
    evidence = club()
    log = evidence.logs["ben:desk"]
    heard = next(event for event in log if event["what"] == "room")
    heard["text"] = "what the restored database never had"
    assert [violation.rule for violation in check(evidence)] == ["rooms say what history says"]
    evidence.restored_at = 50.0
    follow = {"what": "follow", "conv": CLUB, "why": "snapshot", "from": 16, "t": 60.0}
    for device in ("ann:phone", "ben:desk", "dan:pager"):
        over = {"what": "start over", "epoch": evidence.ends["ann"].epoch, "seq": 1, "groups": {}, "t": 60.0}
        evidence.logs[device] += [over, follow]
    assert check(evidence) == []
