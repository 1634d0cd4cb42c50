"""Where Redis is, as a URL says it. Nothing here connects to anything."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

EXPECTED: Final = "redis://[USER:PASSWORD@]HOST[:PORT][/NUMBER], rediss:// for TLS, unix:///PATH, or redis+cluster://HOST:PORT[,HOST:PORT]"
PORT: Final = 6379
_MAX_PORT: Final = 65_535
_SCHEMES: Final = ("redis", "rediss", "redis+cluster", "rediss+cluster", "unix")
_HOST: Final = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>\d{1,5}))?")
# What may stand behind `?`, by redis-py's names, since those are what people find.
_TLS: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs")
_VERIFY: Final = ("required", "none")


@dataclass(frozen=True, slots=True)
class Node:
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, repr=False)
class RedisAddress:
    """`nodes` has one, or for a cluster those that are asked for the others; none with a `path`, a Unix socket.

    `tls` are the options of its connections by redis-py's names, None: without TLS.
    """

    nodes: tuple[Node, ...]
    path: str | None
    username: str | None
    password: str | None
    number: int
    cluster: bool
    tls: dict[str, str] | None

    @classmethod
    def parse(cls, text: str) -> "RedisAddress":
        """Raises: ValueError with what is expected; it never holds any of the text."""
        try:
            url = urlsplit(text.strip())
            options = dict(parse_qsl(url.query, strict_parsing=True)) if url.query else {}
        except ValueError:
            raise ValueError(EXPECTED) from None
        if url.scheme not in _SCHEMES or url.fragment:
            raise ValueError(EXPECTED)
        is_local, is_secure = url.scheme == "unix", url.scheme.startswith("rediss")
        cluster = url.scheme.endswith("+cluster")
        authority, at, where = url.netloc.rpartition("@")
        username, _, password = authority.partition(":") if at else ("", "", "")
        if is_local and (where or len(url.path) < len("/x")):
            raise ValueError(EXPECTED)
        allowed = {"db"} if is_local else set(_TLS) if is_secure else set()
        if not set(options) <= allowed or options.get("ssl_cert_reqs", "none") not in _VERIFY:
            raise ValueError(EXPECTED)
        number = _number(options.pop("db", "") if is_local else url.path.removeprefix("/"))
        if cluster and number:
            raise ValueError("a cluster has no numbered databases")
        return cls(
            nodes=() if is_local else _nodes(url, where, several=cluster),
            path=unquote(url.path) if is_local else None,
            username=unquote(username) or None,
            password=unquote(password) or None,
            number=number,
            cluster=cluster,
            tls=options if is_secure else None,
        )

    def __str__(self) -> str:
        """As people may see it: without user and password."""
        if self.path is not None:
            return f"unix://{self.path}" + (f"?db={self.number}" if self.number else "")
        scheme = ("redis" if self.tls is None else "rediss") + ("+cluster" if self.cluster else "")
        return f"{scheme}://{','.join(map(str, self.nodes))}" + (f"/{self.number}" if self.number else "")

    __repr__ = __str__


def _number(text: str) -> int:
    if text and not (text.isascii() and text.isdecimal()):
        raise ValueError(EXPECTED)
    return int(text or 0)


def _nodes(url: SplitResult, where: str, *, several: bool) -> tuple[Node, ...]:
    found = []
    for one in where.split(",") if several else [where]:
        match = _HOST.fullmatch(one)
        port = PORT if match is None or match["port"] is None else int(match["port"])
        if match is None or not 0 < port <= _MAX_PORT or url.path.count("/") > 1:
            raise ValueError(EXPECTED)
        found.append(Node(match["six"] or match["name"], port))
    return tuple(found)
