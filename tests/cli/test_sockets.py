import socket

import pytest
from faultlab.ports import port_of, reserved

from cli import sockets
from cli.address import Address
from cli.errors import CliError


def refusal(address, **options):
    with pytest.raises(CliError) as caught:
        sockets.listen("http", address, **options)
    assert "\n" not in caught.value.cause
    return caught.value


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_port_zero_picks_a_free_one(host):
    with sockets.listen("http", Address(host, 0)) as listening:
        found = sockets.address_of(listening)
        assert found.host == host
        assert found.port > 0
        socket.create_connection(found).close()


def test_a_port_in_use_is_refused_in_one_line_with_setting_and_address():
    with reserved() as holder:
        address = Address("127.0.0.1", port_of(holder))
        with sockets.listen("http", address):
            told = refusal(address)
        assert told.cause == f"http = {address} cannot be listened on: the port is in use"
        other = Address(address.host, address.port + 1 if address.port < 65_535 else 65_534)
        assert told.hint == f"stop what listens there, or choose another: --http {other}"
        sockets.listen("http", address).close()


def test_with_patience_a_port_that_becomes_free_is_had():
    pauses = []

    def pause(seconds):
        pauses.append(seconds)
        taken.close()

    with pytest.MonkeyPatch.context() as patch, reserved() as holder:
        address = Address("127.0.0.1", port_of(holder))
        taken = sockets.listen("http", address)
        patch.setattr(sockets.time, "sleep", pause)
        sockets.listen("http", address, patience_s=30).close()
    assert len(pauses) == 1


@pytest.mark.parametrize(
    ("address", "why"),
    [
        (Address("192.0.2.1", 0), "this machine does not have that address"),
        (Address("no-such-host.invalid", 0), "this host name has no address"),
    ],
)
def test_an_address_of_another_machine_or_of_none_is_refused(address, why, monkeypatch):
    if address.host.endswith(".invalid"):

        def unknown(*_arguments, **_options):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert refusal(address).cause == f"http = {address} cannot be listened on: {why}"
    assert refusal(address).hint is None


def test_a_port_that_only_root_may_have_is_told_as_such(monkeypatch):
    def refuse(_self, _address):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    assert refusal(Address("127.0.0.1", 80)).cause.endswith(
        "this user may not; ports below 1024 are for root"
    )


def test_any_other_trouble_is_told_in_the_words_of_the_system(monkeypatch):
    def refuse(_self, _address):
        raise OSError(105, "No buffer space available")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    assert refusal(Address("127.0.0.1", 80)).cause.endswith(
        "cannot be listened on: No buffer space available"
    )
