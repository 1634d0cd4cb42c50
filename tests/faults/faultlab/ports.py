"""A port of one's own, also while nobody listens on it."""

import socket


def reserved() -> socket.socket:
    """A socket that is bound to a free port of 127.0.0.1 and never listens; `close` gives the port back.

    Until then nobody else is given this port who asks for any, and who connects to it is refused unless a server
    that was told this port listens there, as often as it likes. That takes SO_REUSEADDR on both sides.
    """
    holder = socket.socket()
    try:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
    except BaseException:
        holder.close()
        raise
    return holder


def port_of(holder: socket.socket) -> int:
    return int(holder.getsockname()[1])
