"""A short fuzz run with a fixed seed; `make fuzz` is the long one."""

import pytest
from packet_fuzz import Wrong, fuzz

from broker.mqtt import decoding
from broker.mqtt.packets import Puback


def test_broken_packets_never_make_the_parser_fail():
    found = fuzz(seed=20_261_122, rounds=6000)
    # Both what is good and what is wrong were seen, of nearly every kind.
    assert found["Malformed"] > 500
    assert found["ProtocolError"] > 100
    assert {"Connect", "Publish", "Puback", "Subscribe", "Suback", "Unsuback", "Disconnect", "Auth"} <= set(
        found
    )


def test_a_parser_that_fails_is_noticed(monkeypatch):
    def fails(*_):
        raise KeyError("no such thing")

    monkeypatch.setitem(decoding._DECODERS, 4, fails)
    with pytest.raises(Wrong, match="no such thing"):
        fuzz(seed=1, rounds=2000)


def test_a_parser_that_changes_packets_is_noticed(monkeypatch):
    changes = iter(range(1, 60_000))
    monkeypatch.setitem(
        decoding._DECODERS, 4, lambda reader, _: Puback(next(changes) + 0 * len(reader.rest()))
    )
    with pytest.raises(Wrong, match="another when read again"):
        fuzz(seed=1, rounds=2000)
