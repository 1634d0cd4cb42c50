"""Where something listens: HOST:PORT."""

from typing import NamedTuple, Self

EXPECTED = "HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080, with a port from 0 (any free one) to 65535"
MAX_PORT = 65_535


class Address(NamedTuple):
    """Where to listen. Port 0 picks a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def clashes(self, other: "Address") -> bool:
        """Whether two sockets cannot listen on both: the same port, and one address or all of its family."""
        if 0 in (self.port, other.port) or self.port != other.port:
            return False
        hosts = {host.replace("localhost", "127.0.0.1") for host in (self.host, other.host)}
        return (
            len(hosts) == 1
            or ("0.0.0.0" in hosts and not any(":" in host for host in hosts))  # noqa: S104 -- looked for
            or ("::" in hosts and all(":" in host for host in hosts))
        )

    @classmethod
    def parse(cls, value: object) -> Self:
        """Raises: ValueError if this is not HOST:PORT, an IPv6 host in brackets."""
        if isinstance(value, cls):
            return value
        if not isinstance(value, str):
            raise ValueError(EXPECTED)  # noqa: TRY004 -- pydantic answers ValueError, not TypeError
        host, colon, port = value.strip().rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise ValueError(EXPECTED)
        if not (colon and host and port.isascii() and port.isdigit() and int(port) <= MAX_PORT):
            raise ValueError(EXPECTED)
        return cls(host, int(port))
