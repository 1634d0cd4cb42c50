"""Which endpoints may be reached: what a subscription may name, and which addresses its name may turn out to have.

Clients choose endpoints, so that without these rules they could have this server post into its own network. What
is written in a URL is looked at when a device subscribes; what its name resolves to, at each connection, by the
same rules (`EndpointRules.admits`), because it can be another address by then.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from pabal.errors import BadRequest

ANY_HOST: Final = "*"
LONGEST_URL: Final = 2048
_HTTPS_PORT: Final = 443
_FIRST_FREE_PORT: Final = 1024
_PRINTABLE: Final = re.compile(r"[!-\[\]-~]+\Z")  # no space, no backslash, nothing that is not ASCII
_NAME: Final = re.compile(
    r"(?=.{1,253}\Z)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z"
)
_NUMBER: Final = re.compile(r"(0x[0-9a-f]*|[0-9]+)\Z")
# Of networks that are somebody's own, or of none at all.
_OWN_DOMAINS: Final = (
    "localhost", "localdomain", "local", "internal", "intranet", "private", "corp", "home", "lan", "home.arpa",
    "invalid", "onion",
)  # fmt: skip
# IPv6 addresses that stand for an IPv4 address, which is in the last 32 bits of the first, and anywhere in others.
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_TUNNELS: Final = tuple(
    map(ipaddress.IPv6Network, ("64:ff9b:1::/48", "2001::/32", "2002::/16", "::/96", "fec0::/10"))
)

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_public(address: str) -> bool:
    """Whether this is an IP address that anybody on the Internet could be asked for. False for what is none."""
    parsed = _parsed(address.partition("%")[0])
    return parsed is not None and _is_public(parsed)


@dataclass(frozen=True, slots=True)
class EndpointRules:
    """`private_hosts`: hosts (names or addresses, lower-case) that may be on private addresses; `*` for all."""

    private_hosts: frozenset[str] = frozenset()

    def checked(self, url: object, field: str, longest: int = LONGEST_URL) -> str:
        """The URL as it was given, if pushes may be sent there.

        Raises: BadRequest, naming the field, if not.
        """
        if not isinstance(url, str) or not url:
            raise BadRequest("a URL, such as https://push.example/abc", field=field)
        if len(url) > longest:
            raise BadRequest(f"at most {longest} characters", field=field)
        if not _PRINTABLE.match(url):
            raise BadRequest("a URL has no spaces and nothing but ASCII", field=field)
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise BadRequest("not a URL", field=field) from None
        if parts.scheme != "https":
            raise BadRequest("https only", field=field)
        if "@" in parts.netloc or "#" in url:
            raise BadRequest("a URL without user and fragment", field=field)
        if not host:
            raise BadRequest("a URL with a host", field=field)
        if port is not None and port != _HTTPS_PORT and port < _FIRST_FREE_PORT:
            raise BadRequest(f"port {_HTTPS_PORT}, or one from {_FIRST_FREE_PORT}", field=field)
        self._check_host(host, field)
        return url

    def admits(self, host: str, address: str) -> bool:
        """Whether a connection for this host may go to this address, which its name has just been resolved to."""
        return self._may_be_private(host) or is_public(address)

    def _may_be_private(self, host: str) -> bool:
        return ANY_HOST in self.private_hosts or _bare(host) in self.private_hosts

    def _check_host(self, host: str, field: str) -> None:
        name = _bare(host)
        address = _parsed(name)
        if address is None and not _NAME.match(name):
            raise BadRequest("not the name of a host", field=field)
        if self._may_be_private(host):
            return
        if address is not None:
            if not _is_public(address):
                raise BadRequest(f"{host} is a private address", field=field)
            return
        if _NUMBER.match(name.rpartition(".")[2]):
            # 127.1, 2130706433 and 0x7f000001 are 127.0.0.1 to those who resolve names.
            raise BadRequest("not the name of a host", field=field)
        if "." not in name or any(name == own or name.endswith(f".{own}") for own in _OWN_DOMAINS):
            raise BadRequest(f"{host} is a name of a private network", field=field)


def _bare(host: str) -> str:
    return host.lower().removesuffix(".")


def _parsed(text: str) -> _Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _is_public(address: _Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return _is_public(address.ipv4_mapped)
        if address in _NAT64:
            return _is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if any(address in network for network in _TUNNELS):
            return False
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not address.is_link_local
    )
