"""A pool's connection before there is one."""

import ssl

import httpcore2

from push.connections import PushConnections
from push.loop_network import LoopNetwork


async def test_one_that_is_not_made_yet_may_be_waited_for():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    pool = PushConnections(context, LoopNetwork(), most=1, keep_alive_s=1.0)
    origin = httpcore2.Origin(b"https", b"push.example", 443)
    connection = pool.create_connection(origin)
    assert connection.can_handle_request(origin)
    assert connection.is_available()
    assert not any(
        (
            connection.is_connected(),
            connection.is_idle(),
            connection.has_expired(),
            connection.is_closed(),
            connection.can_multiplex(),
        )
    )
    assert connection.info() == "is being made"
    await connection.aclose()
