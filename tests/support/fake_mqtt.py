"""The least of an MQTT 3.1.1 broker that a service's client needs: one connection at a time, in a thread."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable

Answer = Callable[[bytes], list[bytes]]


class FakeMqttBroker:
    """Acknowledges every publish, and publishes on `down` what `answer` makes of it."""

    def __init__(self, answer: Answer, down: str, secret: str) -> None:
        self.answer = answer
        self.down = down
        self.secret = secret
        self.refuse_subscriptions = False
        self.logins: list[tuple[str, str, str]] = []
        self.filters: list[str] = []
        self.published: list[tuple[str, bytes]] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._connection: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve, name="fake-broker")
        self._thread.start()

    def drop(self) -> None:
        """Break the connection, as a server that dies does."""
        if (connection := self._connection) is not None:
            connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self.drop_quietly()
        self._thread.join()
        self._listening.close()

    def drop_quietly(self) -> None:
        with contextlib.suppress(OSError):  # the client was faster
            self.drop()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                self._connection = connection
                try:
                    with connection.makefile("rb") as stream:
                        while self._packet(connection, stream):
                            pass
                except (OSError, ValueError, struct.error):
                    pass  # it went away, be it in the middle of a packet; the next one is accepted
            self._connection = None

    def _packet(self, connection: socket.socket, stream) -> bool:
        first = stream.read(1)
        if not first:
            return False
        length, shift = 0, 0
        while True:
            (byte,) = stream.read(1)
            length |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        body = stream.read(length)
        kind = first[0] >> 4
        if kind == 1:
            return self._connect(connection, body)
        if kind == 8:
            size = struct.unpack(">H", body[2:4])[0]
            self.filters.append(body[4 : 4 + size].decode())
            connection.sendall(b"\x90\x03" + body[:2] + (b"\x80" if self.refuse_subscriptions else b"\x01"))
        elif kind == 3:
            size = struct.unpack(">H", body[:2])[0]
            topic, packet_id = body[2 : 2 + size].decode(), body[2 + size : 4 + size]
            self.published.append((topic, body[4 + size :]))
            connection.sendall(b"\x40\x02" + packet_id)
            for payload in self.answer(body[4 + size :]):
                connection.sendall(self._publish(payload))
        elif kind == 12:
            connection.sendall(b"\xd0\x00")
        return kind != 14

    def _connect(self, connection: socket.socket, body: bytes) -> bool:
        fields, at = [], 10
        while at < len(body):
            size = struct.unpack(">H", body[at : at + 2])[0]
            fields.append(body[at + 2 : at + 2 + size].decode())
            at += 2 + size
        self.logins.append((fields[0], fields[1], fields[2]))
        good = fields[2] == self.secret
        connection.sendall(b"\x20\x02\x00" + (b"\x00" if good else b"\x05"))
        return good

    def _publish(self, payload: bytes) -> bytes:
        topic = self.down.encode()
        body = struct.pack(">H", len(topic)) + topic + payload
        length, size = bytearray(), len(body)
        while True:
            size, byte = size >> 7, size & 0x7F
            length.append(byte | (0x80 if size else 0))
            if not size:
                return b"\x30" + bytes(length) + body
