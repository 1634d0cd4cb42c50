"""Where another broker is, as its URL says it."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

EXPECTED: Final = "mqtt://[USER:PASSWORD@]HOST[:PORT] or mqtts://…"
_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
_HOST: Final = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`ca` are the certificates by which a TLS server is known; None: those of the system."""

    host: str
    port: int
    tls: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca: Path | None = None

    def __str__(self) -> str:
        """As people and logs may see it: without what is secret."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"


def parse(url: str) -> Endpoint:
    """Raises: ValueError if this is not what is expected."""
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(EXPECTED) from None
    if (
        parts.scheme not in _PORTS
        or not host
        or not _HOST.fullmatch(host)
        or parts.path.strip("/")
        or parts.query
        or parts.fragment
        or port == 0
    ):
        raise ValueError(EXPECTED)
    return Endpoint(
        host,
        port or _PORTS[parts.scheme],
        parts.scheme == "mqtts",
        None if parts.username is None else unquote(parts.username),
        None if parts.password is None else unquote(parts.password),
    )
