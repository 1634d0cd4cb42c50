"""Something between a client and PostgreSQL that loses an answer at the worst moment."""

import contextlib
import socket
import threading
from pathlib import Path

_CHUNK = 65_536


class PostgresProxy:
    """Listens on TCP, passes all on to PostgreSQL's socket file.

    `cut_after_commit` set: the next COMMIT reaches PostgreSQL, its answer never comes back, the connection ends.
    `cut_before_commit` set: the next COMMIT does not reach it either.
    `unreachable` set: whoever connects is cut off at once; see `vanish`.
    `flowing` cleared: the network swallows everything, and nobody is told; set again, it all arrives.
    """

    def __init__(self, folder: Path) -> None:
        self._path = str(folder / ".s.PGSQL.5432")
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.cut_after_commit = threading.Event()
        self.cut_before_commit = threading.Event()
        self.unreachable = threading.Event()
        self.flowing = threading.Event()
        self.flowing.set()
        self._ends: list[socket.socket] = []
        self._guard = threading.Lock()  # over `_ends` and who is let in
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}"

    def vanish(self) -> None:
        """All connections end, and there are no new ones until `unreachable` is cleared."""
        with self._guard:
            self.unreachable.set()
            ends = list(self._ends)
        for end in ends:
            _end(end)

    def close(self) -> None:
        self.flowing.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for end in self._ends:
            _end(end)
        for thread in self._threads:
            thread.join(60)
        for end in self._ends:
            end.close()

    def _start(self, target, *args) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            server = self._let_in(client)
            if server is None:
                client.close()
                continue
            self._start(self._to_server, client, server)
            self._start(self._to_client, client, server)

    def _let_in(self, client: socket.socket) -> socket.socket | None:
        with self._guard:
            if self.unreachable.is_set():
                return None
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(self._path)
            except OSError:  # there is no PostgreSQL just now
                server.close()
                return None
            self._ends += [client, server]
            return server

    def _to_server(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := client.recv(_CHUNK):
                self.flowing.wait()
                commit = b"COMMIT\0" in chunk
                if commit and self.cut_before_commit.is_set():
                    self.cut_before_commit.clear()
                    break
                if commit and self.cut_after_commit.is_set():
                    self.cut_after_commit.clear()
                    with contextlib.suppress(OSError):
                        client.shutdown(socket.SHUT_WR)
                    _end(client)
                    server.sendall(chunk)
                    server.shutdown(socket.SHUT_WR)
                    return
                server.sendall(chunk)
        _end(client)
        _end(server)

    def _to_client(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := server.recv(_CHUNK):
                self.flowing.wait()
                client.sendall(chunk)
        _end(client)
        _end(server)


def _end(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
