"""Devices that send to an MQTT broker and keep each message until its reply; and what is judged of what arrived."""

import asyncio
from dataclasses import dataclass, field

import msgspec
from broker_client import Closed, RawClient

from broker.mqtt import packets as p

LOST = (Closed, OSError, TimeoutError, asyncio.IncompleteReadError)
REPLY_S = 3.0


@dataclass
class Sender:
    """One device that sends to one receiver. `said` maps a text to its message_id, once it was accepted."""

    port: int
    user: str
    to: str
    password: bytes | None = None
    said: dict[str, int] = field(default_factory=dict)
    resent: int = 0
    _client: RawClient | None = None

    async def run(self, stop: asyncio.Event) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            await self.send(f"{self.user} {number}")
        await self.close()

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def send(self, text: str) -> None:
        """Until there is a reply."""
        while True:
            try:
                reply = await self._ask({"id": text, "to": self.to, "text": text})
            except LOST:
                self.resent += 1
                await self.close()
                await asyncio.sleep(0.1)
                continue
            if reply["ok"]:
                self.said[text] = reply["message_id"]
                return
            assert reply["error"] == "unavailable", reply
            await asyncio.sleep(0.1)

    async def _ask(self, request: dict) -> dict:
        if self._client is None:
            self._client = await connected(self.port, self.user, self.password)
        topic = f"pabal/v1/up/{self.user}/phone"
        packet = p.Publish(topic, msgspec.json.encode(request), 1, packet_id=self._client.take_id())
        await self._client.send(packet)
        return await reply_of(self._client, request["id"])


async def connected(port: int, user: str, password: bytes | None = None) -> RawClient:
    async with asyncio.timeout(REPLY_S):
        client = await RawClient.connect(port, f"{user}:phone", username=user, password=password)
        await client.subscribe((f"pabal/v1/down/{user}/phone", 1))
    return client


async def reply_of(client: RawClient, asked: str) -> dict:
    async with asyncio.timeout(REPLY_S):
        while True:
            packet = await client.next(REPLY_S)
            if isinstance(packet, p.Publish):
                if packet.qos:
                    await client.send(p.Puback(packet.packet_id))
                reply = msgspec.json.decode(packet.payload)
                if reply.get("re") == asked:
                    return reply


async def inbox(port: int, user: str, password: bytes | None = None) -> list[dict]:
    """All of it, as a device reads it that has nothing yet."""
    client, items, epoch = await connected(port, user, password), [], None
    while True:
        number = f"sync {len(items)} {epoch}"
        after = items[-1]["seq"] if items else 0
        asked = {"op": "sync", "id": number, "after": after, **({"epoch": epoch} if epoch else {})}
        payload = msgspec.json.encode(asked)
        await client.send(p.Publish(f"pabal/v1/up/{user}/phone", payload, 1, packet_id=client.take_id()))
        page = await reply_of(client, number)
        assert page["ok"], page
        assert "reset" not in page, page
        items += page["items"]
        epoch = page["epoch"]
        if not page["more"]:
            await client.close()
            return items


def judge(items: list[dict], senders: list[Sender]) -> list[str]:
    """What is wrong with an inbox into which these have sent."""
    wrong = []
    seqs = [item["seq"] for item in items]
    if seqs != list(range(1, len(seqs) + 1)):
        wrong.append(f"seqs are not dense: {seqs[:20]} …")
    for sender in senders:
        got = [(item["text"], item["message_id"]) for item in items if item["from"] == sender.user]
        texts = [text for text, _ in got]
        if len(set(texts)) != len(texts):
            wrong.append(f"{sender.user}: something came twice")
        missing = [pair for pair in sender.said.items() if pair not in got]
        if missing:
            wrong.append(f"{sender.user}: accepted and lost, or under another number: {missing[:5]}")
        if [number for _, number in got] != sorted(number for _, number in got):
            wrong.append(f"{sender.user}: not in the order of message_ids")
        if texts != sorted(texts, key=lambda text: int(text.split()[1])):
            wrong.append(f"{sender.user}: not in the order in which it was sent")
    return wrong
