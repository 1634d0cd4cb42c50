"""The event loop that servers run in, and the signals that stop them."""

import asyncio
import gc
import importlib
import signal
from collections.abc import Callable, Coroutine
from typing import Any


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """That of uvloop where it is installed; None stands for asyncio's own."""
    try:
        uvloop = importlib.import_module("uvloop")
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def run(main: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(main)


def on_hangup(act: Callable[[], None]) -> None:
    """What SIGHUP does from here on, instead of ending the process."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, act)


def stop_signals() -> asyncio.Event:
    """An event that SIGTERM and Ctrl-C set; both are taken from here on."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def settle_heap() -> None:
    """To be called once everything is built. What is there stays until the end, so Python need not look through it for
    cycles any more: looking through all modules stopped the loop for 110 ms, the first time under load.
    """
    gc.collect()
    gc.freeze()
