import pytest

from cli import sockets
from cli.address import Address


@pytest.mark.parametrize(
    "flags", [["--mqtt=0.0.0.0:0"], ["--mqtt=192.0.2.1:1883"], ["--mqtt=127.0.0.1:0", "--ws=[::]:0"]]
)
def test_an_open_broker_is_for_this_machine_only(pabal, flags):
    done = pabal("broker", "--open", *flags)
    assert done.code == 2
    assert "is not a loopback address" in done.err
    assert done.err.count("\n") == 1


def test_an_address_that_is_none_is_refused(pabal):
    done = pabal("broker", "--open", "--mqtt", "1883")
    assert done.code == 2
    assert done.err.startswith("error: --mqtt = '1883' is not right; expected HOST:PORT")


def test_one_port_for_two_listeners_is_refused(pabal):
    done = pabal("broker", "--open", "--mqtt", "127.0.0.1:1", "--ws", "localhost:1")
    assert done.code == 2
    assert done.err.startswith("error: --mqtt = 127.0.0.1:1 and --ws = localhost:1 are the same port;")


def test_a_port_in_use_is_refused(pabal):
    with sockets.listen("mqtt", Address("127.0.0.1", 0)) as taken:
        done = pabal("broker", "--open", f"--mqtt={sockets.address_of(taken)}")
    assert done.code == 1
    assert done.err.startswith("error: mqtt = 127.0.0.1:")
    assert "the port is in use" in done.err


def test_a_denied_filter_that_is_none_is_refused(pabal):
    done = pabal("broker", "--open", "--mqtt", "127.0.0.1:0", "--deny", "a/#/b")
    assert done.code == 2
    assert done.err.startswith("error: --deny = 'a/#/b' is not right; expected an MQTT topic filter")
