"""HTTP to push services: bounded, over HTTP/2 where there is one, and only to addresses that may be reached."""

import asyncio
import contextlib
import socket
import ssl
from collections import Counter

import h2.config
import h2.connection
import h2.events
import pytest
from hyperframe.frame import GoAwayFrame
from push_stand_in import Answer

from push.endpoints import EndpointRules
from push.http_posts import HttpPosts
from push.posting import MAX_REPLY_BYTES, PostFailed, Reply


async def test_a_post_goes_out_over_http2_and_its_answer_comes_back(service, posts):
    service.script("/a", Answer(201, b"made", {"Location": "/m/1", "X-Y": "z"}))
    reply = await posts.post(f"{service.url}/a?b=c", {"ttl": "5"}, b"body")
    assert (reply.status, reply.body, reply.headers["location"]) == (201, b"made", "/m/1")
    assert reply.http_version == "HTTP/2"
    (received,) = service.requests
    assert (received.method, received.path, received.body) == ("POST", "/a", b"body")
    assert (received.headers["ttl"], received.http_version) == ("5", "2")


async def test_a_post_has_no_headers_but_those_it_needs(service, posts):
    await posts.post(f"{service.url}/a", {"ttl": "5"}, b"body")
    (received,) = service.requests
    # Nothing that asks for an answer that would have to be unpacked.
    assert set(received.headers) == {"host", "user-agent", "ttl", "content-length"}
    assert received.headers["host"] == service.url.removeprefix("https://")


async def test_what_is_no_character_of_urls_is_quoted_and_what_is_quoted_stays_so(service, posts):
    await posts.post(f'{service.url}/a"<b>/%20;c', {}, b"")
    assert [received.path for received in service.requests] == ["/a%22%3Cb%3E/%20;c"]


async def test_a_header_that_cannot_be_sent_is_a_failure(posts, service):
    with pytest.raises(PostFailed, match="unicode encode error"):
        await posts.post(f"{service.url}/a", {"x": "메"}, b"")
    assert service.requests == []


@pytest.mark.parametrize("value", ["a\nb", "a\0b", "a\tb"])
async def test_one_that_would_end_the_connection_is_not_sent(posts, service, value):
    with pytest.raises(PostFailed, match="x has characters that cannot be sent"):
        await posts.post(f"{service.url}/a", {"x": value}, b"")
    assert service.requests == []


async def test_names_of_headers_may_be_in_capitals_and_values_have_no_space_around(posts, service):
    await posts.post(f"{service.url}/a", {"X-Y": " a "}, b"")
    assert service.requests[0].headers["x-y"] == "a"


async def test_many_posts_share_one_connection(service, posts):
    replies = await asyncio.gather(*(posts.post(f"{service.url}/{n}", {}, b"x") for n in range(50)))
    assert {reply.status for reply in replies} == {200}
    assert len(service.peers) == 1


async def test_a_redirect_is_not_followed(service, posts):
    service.script("/a", Answer(302, headers={"Location": "/b"}))
    assert (await posts.post(f"{service.url}/a", {}, b"x")).status == 302
    assert [received.path for received in service.requests] == ["/a"]


async def test_of_a_long_answer_the_beginning_is_kept(service, posts):
    service.script("/a", Answer(200, b"x" * (MAX_REPLY_BYTES + 1)), Answer(200, b"y" * MAX_REPLY_BYTES))
    assert (await posts.post(f"{service.url}/a", {}, b"")).body == b"x" * MAX_REPLY_BYTES
    assert (await posts.post(f"{service.url}/a", {}, b"")).body == b"y" * MAX_REPLY_BYTES


async def test_a_service_that_never_answers_is_given_up_and_others_are_not(service, hasty):
    service.script("/slow", Answer(never=True))
    slow = asyncio.create_task(hasty.post(f"{service.url}/slow", {}, b""))
    await asyncio.to_thread(service.wait_for, lambda: service.requests)
    assert (await hasty.post(f"{service.url}/quick", {}, b"")).status == 200
    with pytest.raises(PostFailed, match="no answer in time"):
        await slow
    assert (await hasty.post(f"{service.url}/quick", {}, b"")).status == 200


async def test_an_answer_that_breaks_off_is_a_failure_and_the_next_post_is_none(service, hasty):
    service.script("/a", Answer(breaks=True))
    with pytest.raises(PostFailed):
        await hasty.post(f"{service.url}/a", {}, b"")
    assert (await hasty.post(f"{service.url}/a", {}, b"")).status == 200


@contextlib.asynccontextmanager
async def _speaking(words, context=None):
    """A server that says something to everybody who comes."""

    async def speak(_reader, writer):
        with contextlib.suppress(OSError):
            writer.write(words)
            await writer.drain()
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(speak, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


def _tls(service, *protocols):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    service._authority.issue_cert("localhost").configure_cert(context)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


@pytest.mark.parametrize("protocol", ["h2", "http/1.1"])
@pytest.mark.parametrize(
    "words", [b"\0" * 50, b"HELLO?\r\n\r\n", b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx"]
)
async def test_a_service_that_answers_nonsense_is_a_failure_with_its_reason(service, hasty, protocol, words):
    async with _speaking(words, _tls(service, protocol)) as port:
        with pytest.raises(PostFailed) as failed:
            await hasty.post(f"https://localhost:{port}/", {}, b"x")
    assert failed.value.reason
    assert not failed.value.refused


async def test_one_that_speaks_no_tls_is_a_failure(hasty):
    async with _speaking(b"220 mail.example ESMTP\r\n") as port:
        with pytest.raises(PostFailed):
            await hasty.post(f"https://localhost:{port}/", {}, b"x")


async def test_a_certificate_that_nobody_vouches_for_is_a_failure(service):
    posts = HttpPosts(EndpointRules(frozenset({"*"})))
    try:
        with pytest.raises(PostFailed, match=r"(?i)certificate"):
            await posts.post(f"{service.url}/", {}, b"x")
    finally:
        await posts.close()
    assert service.requests == []


class _Leaving(asyncio.Protocol):
    """Says farewell with every third request that it takes, answers those three after that, and hears no others."""

    def __init__(self, taken):
        self._taken = taken
        self._http = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding=None)
        )
        self._streams = []

    def connection_made(self, transport):
        self._transport = transport
        self._http.initiate_connection()
        transport.write(self._http.data_to_send())

    def data_received(self, data):
        for event in self._http.receive_data(data):
            if isinstance(event, h2.events.RequestReceived) and len(self._streams) < 3:
                self._taken[dict(event.headers)[b":path"]] += 1
                self._streams.append(event.stream_id)
                if len(self._streams) == 3:
                    self._transport.write(GoAwayFrame(0, last_stream_id=event.stream_id).serialize())
                    asyncio.get_running_loop().call_soon(self._answer)
        self._transport.write(self._http.data_to_send())

    def _answer(self):
        for stream_id in self._streams:
            self._http.send_headers(stream_id, [(":status", "201")], end_stream=True)
        self._transport.write(self._http.data_to_send())
        self._transport.close()


async def test_a_server_that_ends_its_connections_in_peace_is_asked_everything_once(service, posts):
    taken = Counter()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Leaving(taken), "127.0.0.1", 0, ssl=_tls(service, "h2"))
    async with server:
        url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
        replies = await asyncio.gather(*(posts.post(f"{url}/{n}", {}, b"x") for n in range(30)))
    assert [reply.status for reply in replies] == [201] * 30
    assert taken == {b"/%d" % n: 1 for n in range(30)}


async def test_http_1_is_spoken_with_a_server_that_has_no_other(service, posts):
    async def answer(reader, writer):
        with contextlib.suppress(OSError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
            await writer.drain()
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=_tls(service))
    async with server:
        reply = await posts.post(f"https://localhost:{server.sockets[0].getsockname()[1]}/", {}, b"")
    assert (reply.status, reply.http_version) == (204, "HTTP/1.1")


async def test_what_an_idle_connection_says_is_not_the_answer_to_the_next_post(posts):
    came = []

    async def answer(reader, writer):
        came.append(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://localhost:{server.sockets[0].getsockname()[1]}/"
        assert [(await posts.post(url, {}, b"")).status for _ in range(2)] == [204, 204]
        assert len(came) == 1
        came[0].write(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")
        (connection,) = posts._pool.connections
        async with asyncio.timeout(10):
            while not connection._made._network_stream._stream._link._came:
                await asyncio.sleep(0)
        assert (await posts.post(url, {}, b"")).status == 204
        assert len(came) == 2
        for writer in came:
            writer.close()


async def test_one_that_was_chosen_may_be_without_tls(posts):
    async with _speaking(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n") as port:
        reply = await posts.post(f"http://localhost:{port}/", {}, b"")
    assert (reply.status, reply.http_version) == (204, "HTTP/1.1")


async def test_those_who_wait_for_a_connection_share_its_failure(hasty):
    came = []

    def hang_up(_reader, writer):
        came.append(writer)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        url = f"https://localhost:{server.sockets[0].getsockname()[1]}/"
        found = await asyncio.gather(*(hasty.post(url, {}, b"x") for _ in range(20)), return_exceptions=True)
    assert [type(one) for one in found] == [PostFailed] * 20
    assert len(came) == 1


async def test_one_who_gives_up_while_a_connection_is_made_leaves_it_to_others(service, posts):
    first, second = (asyncio.create_task(posts.post(f"{service.url}/{n}", {}, b"x")) for n in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).status == 200
    with pytest.raises(asyncio.CancelledError):
        await first
    assert [received.path for received in service.requests] == ["/1"]


async def test_closing_while_a_connection_is_made_harms_nobody(service, posts):
    asking = asyncio.create_task(posts.post(f"{service.url}/a", {}, b"x"))
    await asyncio.sleep(0)
    await posts.close()
    with pytest.raises(PostFailed, match="the connection was closed"):
        await asking


async def test_nobody_listening_is_a_failure(hasty):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(PostFailed, match="connect"):
        await hasty.post(f"https://127.0.0.1:{port}/", {}, b"")


async def test_a_private_address_is_not_connected_to_whatever_its_name(service):
    posts = HttpPosts(EndpointRules(), context=service.trusting())
    try:
        for host in ("localhost", "127.0.0.1"):
            with pytest.raises(PostFailed, match="private address") as failed:
                await posts.post(f"https://{host}:{service.port}/", {}, b"")
            assert failed.value.refused
    finally:
        await posts.close()
    assert service.requests == []


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (Reply(410, {}, b""), "answered 410"),
        (Reply(400, {}, b'{"reason":\n "Bad\x1b[31m"}\x00'), 'answered 400: {"reason": "Bad [31m"}'),
        (Reply(500, {}, b"\xff\xfe oh"), "answered 500: \N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER} oh"),
        (Reply(500, {}, b"x" * 500), "answered 500: " + "x" * 200),
    ],
)  # fmt: skip
def test_an_answer_is_told_in_one_short_line(reply, told):
    assert reply.told() == told


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 16_000])
def test_a_body_that_is_no_json_is_none(body):
    assert Reply(200, {}, body).json() is None
