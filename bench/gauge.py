"""Runs a generator in this process, and adds what the server spent on it."""

import asyncio
import gc
import time
from collections.abc import Coroutine
from typing import Any

from server import Server

from cli.loop import loop_factory


def run(work: Coroutine[Any, Any, dict]) -> dict:
    # The generator's own pauses must not look like the server's.
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(work)
    finally:
        gc.enable()
        gc.unfreeze()


def measured(server: Server, work: Coroutine[Any, Any, dict]) -> dict:
    cpu, began = server.cpu_seconds(), time.perf_counter()
    found = run(work)
    spent = server.cpu_seconds() - cpu
    return found | {
        "server_cpu": round(spent / (time.perf_counter() - began), 2),
        "server_cpu_us_per_message": round(spent / max(1, found["sent"]) * 1e6),
        "server_rss_mib": round(server.memory_mib()),
    }
