"""Who checks the judge: a clean round passes, and for each rule there is one that breaks it and is caught."""

import pytest
from stacklab.verdict import RULES, Evidence, Got, Said, judge

GROUP = "gaaaaaaaaaaaa"


def clean():
    """Ann and Ben talk, in their conversation and in a group; what Ann said last was not acknowledged."""
    inbox = [
        Got(1, "ann~ben", 1, "ann", "ann 1"),
        Got(3, GROUP, 2, "ben", "ben 1"),
        Got(4, "ann~ben", 2, "ann", "ann 2"),
    ]
    return Evidence(
        conversations={"ann~ben": frozenset({"ann", "ben"}), GROUP: frozenset({"ann", "ben"})},
        said=[
            Said("ann 1", "ann", "ann:lab", "ann~ben", 1, 1),
            Said("ann 2", "ann", "ann:lab", "ann~ben", 2, 2),
            Said("ann 3", "ann", "ann:lab", "ann~ben", 3),
            Said("ben 1", "ben", "ben:lab", GROUP, 1, 2),
        ],
        seqs={"ann": [1, 2, 3, 4], "ben": [1, 2, 3, 4]},
        inboxes={"ann": list(inbox), "ben": list(inbox)},
        handed={"ann:lab": list(inbox), "ben:lab": list(inbox)},
    )


def lose_an_acknowledged_one(of):
    del of.inboxes["ben"][2]
    of.seqs["ben"].pop()


def store_another_text(of):
    of.inboxes["ben"][0] = of.inboxes["ben"][0]._replace(text="ann 3")


def store_twice(of):
    for user in ("ann", "ben"):
        of.inboxes[user].append(Got(5, "ann~ben", 3, "ann", "ann 2"))
        of.seqs[user].append(5)


def make_up(of):
    of.inboxes["ann"].append(Got(5, "ann~ben", 3, "ben", "who said that"))


def give_to_a_stranger(of):
    of.inboxes["eve"] = [Got(1, "ann~ben", 1, "ann", "ann 1")]


def skip_a_number(of):
    of.seqs["ann"].remove(2)


def repeat_a_number(of):
    of.seqs["ann"].append(4)


def turn_a_conversation_round(of):
    inbox = of.inboxes["ann"]
    inbox[0], inbox[2] = inbox[2]._replace(seq=1), inbox[0]._replace(seq=4)


def tell_everybody_something_else(of):
    of.inboxes["ben"][2] = of.inboxes["ben"][2]._replace(text="ann 3")


def store_in_another_order_than_said(of):
    for user in ("ann", "ben"):
        of.inboxes[user] = [Got(1, "ann~ben", 1, "ann", "ann 2"), Got(2, "ann~ben", 2, "ann", "ann 1")]


def hand_over_twice(of):
    of.handed["ben:lab"].append(of.handed["ben:lab"][1])


def skip_in_handing_over(of):
    del of.handed["ann:lab"][1]


def hand_over_less_than_there_is(of):
    of.handed["ann:lab"].pop()


def hand_over_more_than_there_is(of):
    of.handed["ann:lab"].append(Got(5, "ann~ben", 3, "ann", "ann 3"))


BROKEN = [
    (lose_an_acknowledged_one, "what was acknowledged is there once"),
    (store_another_text, "what was acknowledged is there once"),
    (store_twice, "nothing is there twice, or made up"),
    (make_up, "nothing is there twice, or made up"),
    (give_to_a_stranger, "nothing is there twice, or made up"),
    (skip_a_number, "inboxes are dense"),
    (repeat_a_number, "inboxes are dense"),
    (turn_a_conversation_round, "conversations are in order"),
    (tell_everybody_something_else, "conversations are in order"),
    (store_in_another_order_than_said, "one sender's order is kept"),
    (hand_over_twice, "devices are handed their inbox once"),
    (skip_in_handing_over, "devices are handed their inbox once"),
    (hand_over_less_than_there_is, "devices are handed their inbox once"),
    (hand_over_more_than_there_is, "devices are handed their inbox once"),
]


def test_a_clean_round_passes():
    assert judge(clean()) == []


@pytest.mark.parametrize(("breaks", "rule"), BROKEN, ids=lambda value: getattr(value, "__name__", ""))
def test_a_broken_promise_is_noticed_by_its_rule(breaks, rule):
    evidence = clean()
    breaks(evidence)
    assert rule in {violation.rule for violation in judge(evidence)}


def test_a_device_that_started_over_is_handed_what_came_since():
    evidence = clean()
    evidence.since["ann:lab"] = 1
    assert [violation.rule for violation in judge(evidence)] == ["devices are handed their inbox once"]
    del evidence.handed["ann:lab"][0]
    assert judge(evidence) == []


def test_every_rule_is_broken_by_something():
    assert {rule for _breaks, rule in BROKEN} == set(RULES)


def test_of_many_violations_a_few_are_shown():
    evidence = clean()
    evidence.seqs["ann"] = list(range(2, 60, 2))
    shown = [violation.detail for violation in judge(evidence)]
    assert len(shown) == 6
    assert shown[-1] == "and 24 more"
