import asyncio

import pytest

from cli import probe
from cli.address import Address


@pytest.fixture
async def answering():
    """`await answering(b"…")` gives the address of a server that answers each connection with the next of these."""
    servers = []

    async def serve(*answers):
        left = list(answers)
        asked = []

        async def answer(reader, writer):
            asked.append(await reader.readline())
            writer.write(left.pop(0) if len(left) > 1 else left[0])
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        servers.append(server)
        return Address(*server.sockets[0].getsockname()), asked

    yield serve
    for server in servers:
        server.close()
        await server.wait_closed()


async def test_the_status_of_an_answer_is_read(answering):
    address, asked = await answering(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")
    assert await probe.get_status(address, "/readyz") == 503
    assert asked == [b"GET /readyz HTTP/1.1\r\n"]


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 huh\r\n"])
async def test_what_is_no_http_is_told(answering, answer):
    address, _ = await answering(answer)
    with pytest.raises(ValueError, match=r"HTTP|literal"):
        await probe.get_status(address, "/")


async def test_until_ready_asks_until_the_answer_is_200(answering):
    address, asked = await answering(b"", b"HTTP/1.1 503 No\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n")
    async with asyncio.timeout(60):
        await probe.until_ready(address)
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("listened", "reached"), [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("127.0.0.1", "127.0.0.1")]
)
def test_who_listens_everywhere_is_reached_on_this_machine(listened, reached):
    assert probe.reachable(Address(listened, 80)) == Address(reached, 80)
