"""HTTP/2 connections that come to their end, and what was under way on them."""

import httpcore2
import pytest
from h2_peer import H2Peer
from h2_talk import ORIGIN, ask, asked, met, push_request


async def test_what_is_under_way_when_a_server_says_farewell_is_still_answered(connection, peer):
    asking = [ask(connection, b"%d" % n) for n in range(3)]
    await asked(peer, 3)
    peer.answer(1)
    peer.go_away(5)
    assert (await asking[0]).status == 201
    peer.answer(3)
    assert (await asking[1]).status == 201
    assert not connection.is_available()
    assert not connection.has_expired()
    with pytest.raises(httpcore2.ConnectionNotAvailable):
        await connection.handle_async_request(push_request())
    peer.answer(5)
    peer.close()
    assert (await asking[2]).status == 201
    assert len(peer.asked) == 3


async def test_what_a_server_has_not_looked_at_may_be_asked_elsewhere(connection, peer):
    first, second, third = ask(connection), ask(connection), ask(connection)
    await asked(peer, 3)
    peer.answer(1)
    assert (await first).status == 201
    peer.go_away(3)
    with pytest.raises(httpcore2.ConnectionNotAvailable):
        await third
    peer.answer(3)
    assert (await second).status == 201
    assert connection.has_expired()


async def test_a_server_that_never_answers_anything_is_not_asked_again_and_again(connection, peer):
    asking = ask(connection)
    await asked(peer, 1)
    peer.go_away(0)
    with pytest.raises(httpcore2.RemoteProtocolError, match="the server ended the connection"):
        await asking


async def test_a_farewell_for_a_reason_ends_everything_and_the_reason_is_told(connection, peer):
    asking = ask(connection)
    await asked(peer, 1)
    peer.go_away(2**31 - 1, 11, b'{"reason":"BadCertificate"}')
    with pytest.raises(httpcore2.RemoteProtocolError, match=r"ENHANCE_YOUR_CALM.*BadCertificate"):
        await asking


async def test_what_cannot_leave_any_more_may_be_asked_elsewhere(connection, peer):
    peer.refuses = True
    with pytest.raises(httpcore2.ConnectionNotAvailable):
        await connection.handle_async_request(push_request())
    assert not connection.is_available()


async def test_who_waits_for_a_turn_goes_elsewhere():
    peer = H2Peer(max_concurrent_streams=1)
    connection = await met(peer)
    first, waiting = ask(connection), ask(connection)
    await asked(peer, 1)
    peer.go_away(1)
    with pytest.raises(httpcore2.ConnectionNotAvailable):
        await waiting
    peer.answer(1)
    assert (await first).status == 201
    await connection.aclose()


async def test_all_numbers_of_streams_are_used_up_at_last(connection):
    connection._h2.highest_outbound_stream_id = 2**31 - 1
    with pytest.raises(httpcore2.ConnectionNotAvailable):
        await connection.handle_async_request(push_request())
    assert connection.has_expired()


# -- idle, and closed


async def test_one_that_was_idle_for_long_has_expired(peer):
    connection = await met(peer, keep_alive_s=-1.0)
    assert connection.has_expired()
    asking = ask(connection)
    await asked(peer, 1)
    assert not connection.is_idle()
    assert not connection.has_expired()
    peer.answer(1)
    await asking
    assert connection.has_expired()
    await connection.aclose()


async def test_closing_says_goodbye_once_and_ends_what_is_under_way(connection, peer):
    asking = ask(connection)
    await asked(peer, 1)
    await connection.aclose()
    await connection.aclose()
    with pytest.raises(httpcore2.ReadError, match="closed"):
        await asking
    assert peer.is_closed
    assert connection.is_closed()
    # A GOAWAY, and nothing after it.
    assert peer.writes[-1][3] == 7
    assert connection.info() == "HTTP/2, 0 under way"


async def test_it_is_for_its_origin_alone(connection):
    assert connection.can_handle_request(ORIGIN)
    assert not connection.can_handle_request(httpcore2.Origin(b"https", b"other.example", 443))
    assert connection.can_multiplex()
