"""Connections go to the addresses that were checked, and names that nobody resolves hold up no others."""

import asyncio
import socket
import threading

import httpcore2
import pytest

from push.endpoints import EndpointRules
from push.guarded_network import GuardedNetwork, PrivateAddressError
from push.names import Names


class _Recording(httpcore2.AsyncNetworkBackend):
    def __init__(self, *unreachable):
        self.asked = []
        self._unreachable = unreachable

    async def connect_tcp(self, host, port, **_):
        self.asked.append((host, port))
        if host in self._unreachable:
            raise httpcore2.ConnectError("no way")
        return httpcore2.AsyncMockStream([])


class _Answers(Names):
    """One after another; the last of them from then on."""

    def __init__(self, *answers):
        self._left = list(answers)

    async def addresses(self, _host, _port, _within):
        return self._left.pop(0) if len(self._left) > 1 else self._left[0]


@pytest.fixture
def names():
    made = Names()
    yield made
    made.close()


async def test_the_address_that_was_checked_is_the_one_that_is_connected_to():
    recording = _Recording()
    network = GuardedNetwork(EndpointRules(), _Answers(["8.8.8.8"], ["127.0.0.1"]), recording)
    await network.connect_tcp("rebinding.example", 443)
    assert recording.asked == [("8.8.8.8", 443)]
    with pytest.raises(PrivateAddressError):
        await network.connect_tcp("rebinding.example", 443)
    assert len(recording.asked) == 1


async def test_of_several_addresses_only_public_ones_are_tried_in_their_order():
    recording = _Recording("8.8.8.8")
    answers = _Answers(["10.0.0.1", "8.8.8.8", "::1", "1.1.1.1"])
    await GuardedNetwork(EndpointRules(), answers, recording).connect_tcp("push.example", 443, timeout=2)
    assert recording.asked == [("8.8.8.8", 443), ("1.1.1.1", 443)]


async def test_no_more_than_four_addresses_are_tried():
    addresses = [f"8.8.8.{n}" for n in range(1, 10)]
    recording = _Recording(*addresses)
    with pytest.raises(httpcore2.ConnectError):
        await GuardedNetwork(EndpointRules(), _Answers(addresses), recording).connect_tcp("push.example", 443)
    assert [host for host, _ in recording.asked] == addresses[:4]


async def test_a_name_has_its_addresses_each_once(names, monkeypatch):
    def look_up(_host, port, **_):
        return [(2, 1, 6, "", (address, port)) for address in ("8.8.8.8", "1.1.1.1", "8.8.8.8")]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert await names.addresses("push.example", 443, 5.0) == ["8.8.8.8", "1.1.1.1"]


async def test_an_address_is_its_own(names):
    assert await names.addresses("127.0.0.1", 443, 5.0) == ["127.0.0.1"]


async def test_a_name_that_nobody_had_begun_to_look_up_at_the_close_is_a_failure(names, monkeypatch):
    begun, go_on = threading.Semaphore(0), threading.Event()

    def look_up(*_, **__):
        begun.release()
        go_on.wait(60)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    looking = [asyncio.create_task(names.addresses("push.example", 443, 60.0)) for _ in range(34)]
    for _ in range(32):
        await asyncio.to_thread(begun.acquire)
    try:
        looking[33].cancel()
        names.close()
        with pytest.raises(httpcore2.ConnectError, match="the connection was closed"):
            await looking[32]
        with pytest.raises(asyncio.CancelledError):
            await looking[33]
    finally:
        go_on.set()
    assert await asyncio.gather(*looking[:32]) == [[]] * 32


async def test_names_that_nobody_resolves_hold_up_no_others(names, monkeypatch):
    release = threading.Event()

    def look_up(host, port, **_):
        if host.startswith("slow"):
            release.wait(60)
        if host != "push.example":
            raise OSError("no such host")
        return [(2, 1, 6, "", ("8.8.8.8", port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    try:
        # More than the loop has threads for all that is looked up in it.
        for number in range(20):
            with pytest.raises(httpcore2.ConnectTimeout, match=f"slow{number}.example could not"):
                await names.addresses(f"slow{number}.example", 443, 0.01)
        assert await names.addresses("push.example", 443, 30.0) == ["8.8.8.8"]
        with pytest.raises(httpcore2.ConnectError, match="no such host"):
            await names.addresses("none.example", 443, 30.0)
    finally:
        release.set()
