"""What cannot be done is said once, and once that it can again."""

import logging

import pytest

from bridge.outage import Outage


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.WARNING, logger="pabal.bridge")
    return lambda: [record.getMessage() for record in caplog.records]


def test_it_is_said_once_however_often_it_fails_and_once_that_it_goes_on(said):
    outage = Outage("changes cannot be read", "changes are read again")
    for _ in range(2):
        for _ in range(3):
            outage.goes_on(RuntimeError("no route"))
        outage.ends()
        outage.ends()
    assert said() == ["changes cannot be read: no route; trying again", "changes are read again"] * 2


def test_what_always_could_be_done_is_no_news(said):
    Outage("changes cannot be read", "changes are read again").ends()
    assert said() == []
