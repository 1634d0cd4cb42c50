"""HTTP/2 with a server that does all that servers may do."""

import asyncio

import hpack
import httpcore2
import pytest
from h2_peer import H2Peer
from h2_talk import HASTY, ORIGIN, ask, asked, met, push_request
from hyperframe.frame import DataFrame, HeadersFrame, PingFrame

from push.http2_connection import Http2Connection
from push.posting import MAX_REPLY_BYTES


async def test_a_request_goes_out_whole_and_its_answer_comes_back(connection, peer):
    asking = ask(connection, b"body", b"/a?b=c")
    (stream,) = await asked(peer, 1)
    peer.answer(stream, 201, b"made")
    response = await asking
    assert (response.status, response.headers, await response.aread()) == (201, [], b"made")
    assert response.extensions["http_version"] == b"HTTP/2"
    assert [tuple(one) for one in peer.headers[stream]] == [
        (b":method", b"POST"),
        (b":scheme", b"https"),
        (b":authority", b"push.example"),
        (b":path", b"/a?b=c"),
        (b"ttl", b"5"),
    ]
    assert peer.bodies[stream] == b"body"
    assert peer.reset == []


async def test_one_without_a_body_is_whole_too(connection, peer):
    asking = ask(connection, b"")
    (stream,) = await asked(peer, 1)
    peer.answer(stream, 204)
    assert (await asking).status == 204


async def test_many_at_once_share_the_connection_and_each_has_its_own_answer(connection, peer):
    asking = [ask(connection, b"%d" % n) for n in range(20)]
    for stream in reversed(await asked(peer, 20)):
        peer.answer(stream, 200 + int(peer.bodies[stream]))
    assert [(await one).status for one in asking] == [200 + n for n in range(20)]
    assert connection.is_idle()


# -- how many, and how much


async def test_before_the_server_has_said_how_many_there_is_one(peer):
    connection = Http2Connection(ORIGIN, peer, 60.0)
    await connection.open(1.0)
    first, second = ask(connection), ask(connection)
    await asked(peer, 1)
    peer.greet()
    assert await asked(peer, 2) == [1, 3]
    for stream in peer.asked:
        peer.answer(stream)
    assert (await first).status == (await second).status == 201
    await connection.aclose()


async def test_no_more_are_asked_than_the_server_takes():
    peer = H2Peer(max_concurrent_streams=2)
    connection = await met(peer)
    asking = [ask(connection) for _ in range(5)]
    for count in (2, 4, 5):
        assert len(await asked(peer, count)) == count
        assert len(peer.asked) == count
        for stream in peer.asked[count - (1 if count == 5 else 2) : count]:
            peer.answer(stream)
    assert [(await one).status for one in asking] == [201] * 5
    await connection.aclose()


async def test_who_gets_no_turn_in_time_is_told_so():
    peer = H2Peer(max_concurrent_streams=1)
    connection = await met(peer)
    first = ask(connection)
    await asked(peer, 1)
    with pytest.raises(httpcore2.PoolTimeout, match="takes no more"):
        await connection.handle_async_request(push_request(pool=HASTY))
    assert connection.is_available()
    peer.answer(1)
    assert (await first).status == 201
    await connection.aclose()


async def test_a_body_goes_out_as_far_as_there_is_room():
    peer = H2Peer(initial_window_size=10)
    peer.acknowledges = False
    connection = await met(peer)
    asking = ask(connection, bytes(range(25)))
    await peer.until(lambda: len(peer.bodies.get(1, b"")) == 10)
    for room in (9, 10):
        before = len(peer.bodies[1])
        peer.http.increment_flow_control_window(room, 1)
        peer.flush()
        await peer.until(lambda: len(peer.bodies[1]) > before)  # noqa: B023 -- it is awaited here
    await asked(peer, 1)
    assert peer.bodies[1] == bytes(range(25))
    peer.answer(1)
    assert (await asking).status == 201
    await connection.aclose()


async def test_a_server_that_makes_no_room_is_given_up():
    peer = H2Peer(initial_window_size=10)
    peer.acknowledges = False
    connection = await met(peer)
    with pytest.raises(httpcore2.WriteTimeout, match="takes nothing in"):
        await connection.handle_async_request(push_request(b"x" * 11, write=HASTY))
    assert peer.reset == [1]
    await connection.aclose()


async def test_over_a_connection_that_takes_nothing_in_nothing_more_is_asked():
    peer = H2Peer(initial_window_size=10)
    peer.acknowledges = False
    connection = await met(peer)
    with pytest.raises(httpcore2.WriteTimeout):
        await connection.handle_async_request(push_request(b"x" * 11, write=HASTY))
    assert not connection.is_available()
    assert connection.has_expired()
    await connection.aclose()


async def test_who_has_lost_patience_with_one_that_does_not_read_does_not_wait_to_say_so(connection, peer):
    peer.is_full = True
    async with asyncio.timeout(2.0):
        with pytest.raises(httpcore2.WriteTimeout):
            await connection.handle_async_request(push_request(write=HASTY))
    assert peer.reset == [1]
    assert not connection.is_available()


async def test_who_is_told_to_stop_while_saying_that_makes_room_all_the_same():
    peer = H2Peer(max_concurrent_streams=1)
    connection = await met(peer)
    first, second = ask(connection), ask(connection)
    await asked(peer, 1)
    peer.is_full = True
    first.cancel()
    await peer.until(lambda: peer.reset)
    first.cancel()
    peer.is_full = False
    assert await asked(peer, 2) == [1, 3]
    peer.answer(3)
    assert (await second).status == 201
    with pytest.raises(asyncio.CancelledError):
        await first
    await connection.aclose()


async def test_a_server_that_takes_no_requests_any_more_is_left():
    peer = H2Peer(max_concurrent_streams=0)
    connection = await met(peer)
    with pytest.raises(httpcore2.PoolTimeout):
        await connection.handle_async_request(push_request(pool=HASTY))
    assert not connection.is_available()
    await connection.aclose()


async def test_an_answer_before_the_end_of_the_body_is_one():
    peer = H2Peer(initial_window_size=10)
    peer.acknowledges = False
    connection = await met(peer)
    asking = ask(connection, b"x" * 11)
    await peer.until(lambda: len(peer.bodies.get(1, b"")) == 10)
    peer.answer(1, 413)
    assert (await asking).status == 413
    # The rest is not sent.
    assert (peer.bodies[1], peer.reset) == (b"x" * 10, [1])
    await connection.aclose()


async def test_of_a_long_answer_the_beginning_is_kept_and_the_rest_is_not_waited_for(connection, peer):
    asking = ask(connection)
    await asked(peer, 1)
    peer.answer(1, 200, b"x" * MAX_REPLY_BYTES, is_all=False)
    peer.http.send_data(1, b"y")
    peer.flush()
    assert await (await asking).aread() == b"x" * MAX_REPLY_BYTES + b"y"
    assert peer.reset == [1]
    # What comes late harms nobody.
    second = ask(connection)
    await asked(peer, 2)
    peer.answer(3)
    assert (await second).status == 201


# -- when it goes wrong


async def test_a_request_that_is_given_up_by_the_server_fails_alone(connection, peer):
    first, second = ask(connection), ask(connection)
    await asked(peer, 2)
    peer.http.reset_stream(1, 7)
    peer.answer(3)
    with pytest.raises(httpcore2.RemoteProtocolError, match="REFUSED_STREAM"):
        await first
    assert (await second).status == 201
    assert connection.is_available()


async def test_an_error_that_has_no_name_is_told_by_its_number(connection, peer):
    asking = ask(connection)
    await asked(peer, 1)
    peer.say(b"\0\0\4\3\0" + (1).to_bytes(4) + (4711).to_bytes(4))
    with pytest.raises(httpcore2.RemoteProtocolError, match="4711"):
        await asking


@pytest.mark.parametrize("status", [b"9" * 5000, b"2000", b"20", b"0200", b"ok", b"", None])
async def test_an_answer_without_a_status_is_none_and_others_go_on(connection, peer, status):
    first, second = ask(connection), ask(connection)
    await asked(peer, 2)
    peer.say(HeadersFrame(1, _block((b":status", status), (b"x", b"y")), flags=["END_HEADERS"]).serialize())
    with pytest.raises(httpcore2.RemoteProtocolError, match="no status"):
        await first
    peer.answer(3)
    assert (await second).status == 201
    assert connection.is_available()


def _block(*headers):
    return hpack.Encoder().encode([(name, value) for name, value in headers if value is not None])


async def test_who_asks_where_nothing_was_asked_for_is_listened_to_no_longer(connection, peer):
    asking = ask(connection)
    await asked(peer, 1)
    block = _block((b":method", b"GET"), (b":path", b"/"))
    for n in range(1, 100):
        peer.say(HeadersFrame(2 * n, block, flags=["END_HEADERS"]).serialize())
    with pytest.raises(httpcore2.RemoteProtocolError, match="Max inbound streams"):
        await asking
    assert len(connection._h2.streams) < 4


async def test_who_waits_no_longer_says_so_and_others_go_on(connection, peer):
    first, second = ask(connection), ask(connection)
    await asked(peer, 2)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert peer.reset == [1]
    peer.answer(3)
    assert (await second).status == 201


@pytest.mark.parametrize("status", ["103", "201"])
async def test_what_is_said_of_a_request_that_was_given_up_harms_no_other(connection, peer, status):
    first, second = ask(connection), ask(connection)
    await asked(peer, 2)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    peer.say(HeadersFrame(1, _block((b":status", status.encode())), flags=["END_HEADERS"]).serialize())
    peer.say(DataFrame(1, b"late").serialize())
    peer.answer(3)
    assert (await second).status == 201
    assert connection.is_available()


async def test_no_answer_in_time_is_a_failure_and_others_go_on_where_there_is_life(connection, peer):
    slow = ask(connection, read=1.0)
    await asked(peer, 1)
    quick = ask(connection)
    await asked(peer, 2)
    peer.answer(3)
    assert (await quick).status == 201
    with pytest.raises(httpcore2.ReadTimeout):
        await slow
    assert peer.reset == [1]
    assert connection.is_available()


async def test_over_a_connection_on_which_nobody_says_a_word_nothing_more_is_asked(connection, peer):
    with pytest.raises(httpcore2.ReadTimeout):
        await connection.handle_async_request(push_request(read=HASTY))
    assert not connection.is_available()
    assert connection.has_expired()
    with pytest.raises(httpcore2.ConnectionNotAvailable):
        await connection.handle_async_request(push_request())
    assert peer.asked == [1]


@pytest.mark.parametrize("words", [b"\0" * 50, b"HTTP/1.1 400 Bad Request\r\n\r\n"])
async def test_nonsense_ends_the_connection_with_a_reason(connection, peer, words):
    asking = ask(connection)
    await asked(peer, 1)
    peer.say(words)
    with pytest.raises(httpcore2.RemoteProtocolError, match=r".+"):
        await asking
    await peer.until(lambda: peer.is_closed)
    assert connection.is_closed()
    assert not connection.is_available()


async def test_a_flood_ends_the_connection(connection, peer):
    flood = PingFrame(0, b"12345678").serialize() * 6000
    for n in range(3):
        asking = ask(connection)
        stream = (await asked(peer, n + 1))[n]
        peer.say(flood)
        peer.answer(stream)
        assert (await asking).status == 201
    asking = ask(connection)
    await asked(peer, 4)
    for _ in range(3):
        peer.say(flood)
    with pytest.raises(httpcore2.RemoteProtocolError, match="more than it was asked"):
        await asking
    await peer.until(lambda: peer.is_closed)
    assert connection.is_closed()


async def test_long_answers_to_many_at_once_are_no_flood(connection, peer):
    asking = [ask(connection) for _ in range(20)]
    for stream, one in zip(await asked(peer, 20), asking, strict=False):
        peer.answer(stream, 503, b"x" * MAX_REPLY_BYTES)
        assert (await one).status == 503
    assert connection.is_available()


async def test_many_headers_of_many_answers_are_no_flood(connection, peer):
    asking = [ask(connection) for _ in range(60)]
    for stream in await asked(peer, 60):
        said = [(f"x-{n}", f"{stream}-{n}-" + "x" * 1000) for n in range(8)]
        peer.http.send_headers(stream, [(":status", "201"), *said], end_stream=True)
        peer.flush()
    assert [(await one).status for one in asking] == [201] * 60
    assert connection.is_available()


async def test_whatever_it_is_that_ends_the_reading_is_told_to_who_waits(connection, peer, monkeypatch):
    def fails(_data):
        raise LookupError("nobody thought of that")

    asking = ask(connection)
    await asked(peer, 1)
    monkeypatch.setattr(connection._h2, "receive_data", fails)
    peer.answer(1)
    with pytest.raises(httpcore2.RemoteProtocolError, match="nobody thought of that"):
        await asking
    await peer.until(lambda: peer.is_closed)
    assert connection.is_closed()


async def test_an_end_without_a_word_is_a_failure_of_what_was_asked(connection, peer):
    asking = ask(connection)
    await asked(peer, 1)
    peer.close()
    with pytest.raises(httpcore2.RemoteProtocolError, match="the server closed the connection"):
        await asking
    await peer.until(lambda: peer.is_closed)
    with pytest.raises(httpcore2.ConnectionNotAvailable):
        await connection.handle_async_request(push_request())


async def test_a_header_that_cannot_be_sent_is_a_failure_and_the_server_hears_nothing_of_it(connection, peer):
    writes = len(peer.writes)
    with pytest.raises(httpcore2.LocalProtocolError):
        await connection.handle_async_request(push_request(b"", b"/", (b"connection", b"close")))
    assert len(peer.writes) == writes
    # The two sides count differently from now on.
    assert not connection.is_available()
