"""TLS in front of a server that has none: what comes is decrypted and handed on."""

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator

from tls_files import TlsFiles


@contextlib.contextmanager
def tls_front(files: TlsFiles, port: int) -> Iterator[int]:
    """The port of 127.0.0.1 that speaks TLS for that one; all connections end with the block."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.cert, files.key)
    loop = asyncio.new_event_loop()
    listening: asyncio.Future[int] = loop.create_future()
    ended = asyncio.Event()

    async def serve() -> None:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            behind = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(_pump(reader, behind[1]), _pump(behind[0], writer))

        server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
        listening.set_result(server.sockets[0].getsockname()[1])
        await ended.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(_result(listening), loop).result(60)
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


async def _result(future: "asyncio.Future[int]") -> int:
    return await future


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncio.CancelledError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()
