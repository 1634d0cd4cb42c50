"""The proxy does to a connection what it says, and nothing to its bytes."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest
from faultlab.ports import port_of, reserved
from faultlab.proxy import DOWN, UP, Proxy
from people import wait_for

WAIT_S = 60
SILENCE_S = 0.3


class Echo:
    """Answers every byte with the same byte, and remembers what it got."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.got = bytearray()
        self.ended = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(4096):
                self.got += data
                connection.sendall(data)
        self.ended.set()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join(WAIT_S)


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def proxy(echo) -> Iterator[Proxy]:
    made = Proxy(echo.port, seed=1)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def client(proxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), WAIT_S) as connection:
        assert said(connection, b"hello") == b"hello"
        yield connection


def said(connection: socket.socket, data: bytes) -> bytes:
    connection.sendall(data)
    return heard(connection, len(data))


def heard(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size and (part := connection.recv(size - len(found))):
        found += part
    return found


def is_silent(connection: socket.socket) -> bool:
    connection.settimeout(SILENCE_S)
    try:
        return connection.recv(1) is None
    except TimeoutError:
        return True
    finally:
        connection.settimeout(WAIT_S)


def ends(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def test_it_passes_on_what_it_gets(client):
    data = bytes(range(256)) * 1000
    sender = threading.Thread(target=client.sendall, args=(data,))
    sender.start()
    assert heard(client, len(data)) == data
    sender.join()


def test_a_cut_ends_both_sides(proxy, client, echo):
    assert proxy.cut() == 1
    assert ends(client)
    assert echo.ended.wait(WAIT_S)


def test_what_is_held_on_the_way_up_arrives_after_healing(proxy, client, echo):
    assert proxy.hold(UP) == 1
    client.sendall(b"later")
    assert is_silent(client)
    assert bytes(echo.got) == b"hello"
    proxy.heal()
    assert heard(client, 5) == b"later"


def test_what_is_held_on_the_way_down_has_reached_the_server(proxy, client, echo):
    assert proxy.hold(DOWN) == 1
    client.sendall(b"later")
    wait_for(lambda: bytes(echo.got) == b"hellolater", "the server to get it")
    assert is_silent(client)
    proxy.heal()
    assert heard(client, 5) == b"later"


def test_new_connections_are_held_as_well_if_asked(proxy):
    proxy.hold(UP, DOWN, also_new=True)
    with socket.create_connection(("127.0.0.1", proxy.port), WAIT_S) as late:
        late.sendall(b"late")
        assert is_silent(late)
        proxy.heal()
        assert heard(late, 4) == b"late"


def test_a_torn_connection_delivers_a_part_and_ends(proxy, client, echo):
    assert proxy.tear() == 1
    client.sendall(b"0123456789")
    assert ends(client)
    assert echo.ended.wait(WAIT_S)
    assert b"hello0123456789".startswith(bytes(echo.got))
    assert len(echo.got) < 15


@pytest.mark.parametrize("side", [UP, DOWN])
def test_a_half_open_connection_ends_on_one_side_alone(proxy, client, echo, side):
    assert proxy.half_open(side) == 1
    if side == UP:
        assert echo.ended.wait(WAIT_S)
        assert is_silent(client)
    else:
        assert ends(client)
        assert not echo.ended.wait(SILENCE_S)


def test_slow_and_delayed_connections_lose_nothing(proxy, client):
    proxy.slow_down()
    proxy.delay(0.01)
    data = b"slowly " * 60
    assert said(client, data) == data
    proxy.heal()
    assert said(client, b"fast") == b"fast"


def test_nobody_listening_behind_it_ends_the_connection():
    with reserved() as nobody:
        lonely = Proxy(port_of(nobody), seed=1)
        lonely.start()
        with socket.create_connection(("127.0.0.1", lonely.port), WAIT_S) as connection:
            assert ends(connection)
        lonely.stop()


def test_new_connections_go_where_it_points_to_now(proxy, client):
    other = Echo()
    proxy.point_to(other.port)
    with socket.create_connection(("127.0.0.1", proxy.port), WAIT_S) as late:
        assert said(late, b"late") == b"late"
    assert bytes(other.got) == b"late"
    assert said(client, b"still there") == b"still there"
    other.close()


def test_what_is_behind_it_may_be_a_socket_in_the_file_system(tmp_path):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        listening.listen()
        door = Proxy(tmp_path / "socket", seed=1)
        door.start()
        with socket.create_connection(("127.0.0.1", door.port), WAIT_S) as connection:
            inside, _ = listening.accept()
            with inside:
                connection.sendall(b"hello")
                inside.settimeout(WAIT_S)
                assert inside.recv(5) == b"hello"
        door.stop()
