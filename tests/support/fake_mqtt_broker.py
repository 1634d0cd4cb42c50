"""A very small MQTT 3.1.1 broker in front of a FakeServer, over TCP, TLS or WebSocket, in threads of its own.

It believes every well-formed packet and keeps no session; tests bend it through its attributes.
"""

import socket
import struct
import threading
from contextlib import suppress

from fake_chat_server import FakeServer
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve


class FakeBroker:
    """Attributes that bend it: `refuse` (CONNACK codes to answer next), `mute` (no CONNACK), `deaf` (no PUBACK),
    `deny` (topics whose SUBACK is 0x80), `drop_next` (close instead of answering the next request), `retained` (what
    is published to whoever subscribes a topic)."""

    def __init__(self, server=None, tls=None, websocket=False):
        self.server = server or FakeServer()
        self.refuse, self.deny, self.retained = [], set(), {}
        self.mute = self.deaf = self.drop_next = False
        self.connects, self.status, self.wills = [], [], []
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.links = []
        self._tls = tls
        self._threads = []
        self._ws = None
        if websocket:
            self._ws = serve(self._serve_ws, "127.0.0.1", 0, subprotocols=["mqtt"])
            self.port = self._ws.socket.getsockname()[1]
            self._spawn(self._ws.serve_forever)
        else:
            self._listener = socket.create_server(("127.0.0.1", 0))
            self.port = self._listener.getsockname()[1]
            self._spawn(self._accept)

    def _spawn(self, target, *args):
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._ws is not None:
            self.drop_all()
            self._ws.shutdown()
        else:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self.drop_all()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()

    def _accept(self):
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            self._spawn(self._serve_tcp, raw)

    def _serve_tcp(self, raw):
        with suppress(OSError), raw:
            sock = raw if self._tls is None else self._tls.wrap_socket(raw, server_side=True)
            with sock:
                # Of TLS only the connection beneath: its own `shutdown` takes the layer away under the reading thread.
                Link(
                    self, sock.recv, sock.sendall, lambda: socket.socket.shutdown(sock, socket.SHUT_RDWR)
                ).run()

    def _serve_ws(self, ws):
        buffer = bytearray()

        def recv(size):
            while not buffer:
                buffer.extend(ws.recv())
            part = bytes(buffer[:size])
            del buffer[:size]
            return part

        with suppress(ConnectionClosed):
            Link(self, recv, ws.send, ws.close).run()

    def drop_all(self):
        """Every connection breaks."""
        with self.lock:
            links = list(self.links)
        for link in links:
            with suppress(OSError):
                link.shut()

    def send_out(self, out):
        """Publish to whoever is subscribed."""
        with self.lock:
            for topic, payload in out:
                for link in self.links:
                    if topic in link.topics:
                        link.publish(topic, payload)

    def peer_says(self, text, to="alice", sender="bob"):
        with self.lock:
            _, out = self.server.commit(sender, "pc", {"to": to, "text": text})
            self.send_out(out)

    def wait_for(self, condition, timeout=60):
        with self.changed:
            assert self.changed.wait_for(condition, timeout)


class Link:
    def __init__(self, broker, recv, send, shut):
        self.broker, self._recv, self._send, self.shut = broker, recv, send, shut
        self.topics = set()
        self.user = self.device = None
        self.mid = 0

    def exactly(self, size):
        data = b""
        while len(data) < size:
            part = self._recv(size - len(data))
            if not part:
                raise ConnectionError
            data += part
        return data

    def read(self):
        kind = self.exactly(1)[0]
        size = shift = 0
        while True:
            byte = self.exactly(1)[0]
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return kind, self.exactly(size)

    def packet(self, kind, body):
        size, length = len(body), b""
        while True:
            size, low = divmod(size, 128)
            length += bytes([low | (128 if size else 0)])
            if not size:
                break
        with suppress(OSError, ConnectionClosed):
            self._send(bytes([kind]) + length + body)

    def run(self):
        try:
            while True:
                kind, body = self.read()
                with self.broker.lock:
                    if not self.handle(kind, body):
                        return
                    self.broker.changed.notify_all()
        except (OSError, ConnectionError):
            pass
        finally:
            with self.broker.lock:
                if self in self.broker.links:
                    self.broker.links.remove(self)
                self.broker.changed.notify_all()

    def handle(self, kind, body):
        match kind >> 4:
            case 1:
                return self.connect(body)
            case 3:
                return self.published(kind, body)
            case 8:
                self.subscribe(body)
            case 10:
                self.unsubscribe(body)
            case 12:
                self.packet(0xD0, b"")
            case 14:
                return False
        return True

    def connect(self, body):
        fields, rest = [], body[10:]
        while rest:
            (size,) = struct.unpack_from("!H", rest)
            fields.append(rest[2 : 2 + size])
            rest = rest[2 + size :]
        client_id, will_topic, will, username, password = fields
        self.broker.connects.append((client_id.decode(), username.decode(), password.decode()))
        self.broker.wills.append((will_topic.decode(), will))
        self.user, self.device = client_id.decode().split(":")[:2]
        if self.broker.mute:
            return True
        code = self.broker.refuse.pop(0) if self.broker.refuse else 0
        self.packet(0x20, bytes([0, code]))
        if code == 0:
            self.broker.links.append(self)
        return code == 0

    def published(self, kind, body):
        (size,) = struct.unpack_from("!H", body)
        topic, at = body[2 : 2 + size].decode(), 2 + size
        content = body[at + 2 :] if kind & 6 else body[at:]
        if "/status/" in topic:
            self.broker.status.append(content)
            out = []
        elif self.broker.drop_next:
            self.broker.drop_next = False
            return False
        else:
            out = self.broker.server.handle(self.user, self.device, content)
        if kind & 6 and not self.broker.deaf:
            self.packet(0x40, body[at : at + 2])
        self.broker.send_out(out)
        return True

    def subscribe(self, body):
        at, codes, found = 2, b"", []
        while at < len(body):
            (size,) = struct.unpack_from("!H", body, at)
            topic, qos = body[at + 2 : at + 2 + size].decode(), body[at + 2 + size]
            refused = any(part in topic for part in self.broker.deny)
            codes += bytes([0x80 if refused else qos])
            if not refused:
                self.topics.add(topic)
                found += [topic] if topic in self.broker.retained else []
            at += 3 + size
        self.packet(0x90, body[:2] + codes)
        for topic in found:
            self.publish(topic, self.broker.retained[topic])

    def unsubscribe(self, body):
        at = 2
        while at < len(body):
            (size,) = struct.unpack_from("!H", body, at)
            self.topics.discard(body[at + 2 : at + 2 + size].decode())
            at += 2 + size
        self.packet(0xB0, body[:2])

    def publish(self, topic, payload):
        self.mid = self.mid % 65535 + 1
        self.packet(
            0x32, struct.pack("!H", len(topic)) + topic.encode() + struct.pack("!H", self.mid) + payload
        )
