import doctest
import json

import pytest

import pabal_client
from pabal_client import GroupChange, MemberChange, Mention, Message, ReadUpTo, Snapshot, Update, updates


def update(type_, **fields):
    return Update(7, "e1", type_, json.dumps({"conv": "g1", "message_id": 4, **fields}).encode())


@pytest.mark.parametrize(
    ("made", "value"),
    [
        (update("message", text="hi"), Message(conv="g1", message_id=4, text="hi")),
        (
            update("mention", text="hi", mentions=["me"]),
            Mention(conv="g1", message_id=4, text="hi", mentions=["me"]),
        ),
        (
            update("member", action="left", user="bob"),
            MemberChange(conv="g1", message_id=4, action="left", user="bob"),
        ),
        (
            update("conversation", action="mode", mode="large"),
            GroupChange(conv="g1", message_id=4, action="mode", mode="large"),
        ),
        (update("read", seq=7), ReadUpTo(conv="g1", message_id=4, seq=7)),
        (update("snapshot", epoch="e1", head=9), Snapshot(epoch="e1", head=9)),
        (update("moonrise"), None),
        (update("member"), None),
    ],
)
def test_an_update_is_read_as_a_value_of_its_type_or_as_none_that_is_known(made, value):
    assert made.typed() == value


def test_the_example_of_the_documentation_runs():
    globs = {"Update": Update, "ReadUpTo": ReadUpTo}
    test = doctest.DocTestParser().get_doctest(updates.Update.typed.__doc__, globs, "typed", None, None)
    report = []
    assert not doctest.DocTestRunner().run(test, out=report.append).failed, "".join(report)


def test_what_is_promised_to_be_there_is_there():
    assert all(hasattr(pabal_client, name) for name in pabal_client.__all__)
