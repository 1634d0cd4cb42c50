"""Requests on a connection of its own, for what has to be there before a measurement."""

import asyncio
import itertools
import json
import time
from collections.abc import Sequence

from cli.load.wire import Device, Person, connect

_TIMEOUT_S = 60


class Asker(Device):
    """A device that waits for each reply."""

    def __init__(self, person: Person) -> None:
        super().__init__(person, [(f"pabal/v1/down/{person.user}/{person.device}", 1)], suffix="ask")
        self._waiting: dict[str, asyncio.Future[dict]] = {}
        self._numbers = itertools.count(time.time_ns())  # no id is used twice by a device, ever

    def published(self, payload: bytes) -> None:
        reply = json.loads(payload)
        waiting = self._waiting.pop(reply["re"], None)
        if waiting is not None:
            waiting.set_result(reply)

    async def ask(self, request: dict) -> dict:
        return (await self.ask_all([request]))[0]

    async def ask_all(self, requests: Sequence[dict]) -> list[dict]:
        """In one packet. Whatever is refused ends the bench."""
        loop = asyncio.get_running_loop()
        named = [{"id": f"ask-{next(self._numbers)}", **request} for request in requests]
        self._waiting.update({one["id"]: loop.create_future() for one in named})
        replies = [self._waiting[one["id"]] for one in named]
        self.transport.write(self.request(json.dumps(named).encode()))
        async with asyncio.timeout(_TIMEOUT_S):
            answers = await asyncio.gather(*replies)
        for answer in answers:
            if not answer["ok"]:
                raise SystemExit(f"the server refused what the bench has to have: {answer}")
        return answers


async def ask(person: Person, host: str, port: int, request: dict) -> dict:
    device = Asker(person)
    await connect([device], host, port)
    try:
        return await device.ask(request)
    finally:
        device.close()
