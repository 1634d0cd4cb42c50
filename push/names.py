"""The addresses of hosts, looked up in threads of their own."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import httpcore2

# A lookup cannot be ended, and a name whose server does not answer takes its thread for half a minute. The loop's own
# threads are few, and everything waits for them.
_AT_ONCE: Final = 32


class Names:
    """Used in one event loop. No thread is there before it is needed."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="names")

    async def addresses(self, host: str, port: int, within: float) -> list[str]:
        """Each once, in the system's order.

        Raises: httpcore2.ConnectError, httpcore2.ConnectTimeout.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(within):
                return await loop.run_in_executor(self._threads, _look_up, host, port)
        except asyncio.CancelledError:
            if _is_cancelled():
                raise
            # No thread had begun with it when all was closed.
            raise httpcore2.ConnectError("the connection was closed") from None
        except TimeoutError:
            raise httpcore2.ConnectTimeout(f"{host} could not be resolved in time") from None
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError(f"{host} cannot be resolved: {error}") from None

    def close(self) -> None:
        """What is still looked up is left to its end."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _look_up(host: str, port: int) -> list[str]:
    """Raises: OSError, UnicodeError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
