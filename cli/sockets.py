"""Listening sockets, bound before anything is started, so that a port in use stops the start at once."""

import errno
import socket
import time

from cli.address import MAX_PORT, Address
from cli.errors import CliError

BACKLOG = 1024
_PAUSE_S = 0.05


def listen(name: str, address: Address, *, patience_s: float = 0.0) -> socket.socket:
    """A socket that listens there; `name` is the setting to blame.

    With `patience_s`, an address in use is asked for again until then: after a crash the last of what is left of
    the server before may need a moment to go.

    Raises: CliError, whose cause names the address.
    """
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return _bound(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE and time.monotonic() < deadline:
                time.sleep(_PAUSE_S)
                continue
            raise CliError(
                f"{name} = {address} cannot be listened on: {_why(error)}", _hint(name, address, error)
            ) from None


def _bound(address: Address) -> socket.socket:
    found = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
    )
    family, kind, protocol, _name, where = found[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(where)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def address_of(sock: socket.socket) -> Address:
    """Where it really listens, port 0 resolved."""
    host, port = sock.getsockname()[:2]
    return Address(host, port)


def _hint(name: str, address: Address, error: OSError) -> str | None:
    if error.errno != errno.EADDRINUSE:
        return None
    port = address.port + 1 if address.port < MAX_PORT else address.port - 1
    return f"stop what listens there, or choose another: --{name} {address._replace(port=port)}"


def _why(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return "this host name has no address"
    match error.errno:
        case errno.EADDRINUSE:
            return "the port is in use"
        case errno.EADDRNOTAVAIL:
            return "this machine does not have that address"
        case errno.EACCES:
            return "this user may not; ports below 1024 are for root"
    return str(error.strerror)
