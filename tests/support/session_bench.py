"""A session core whose effects are collected, with a server that answers only when asked to."""

import json
from itertools import count

from fake_chat_server import FakeServer

from pabal import topics
from pabal_client import effects as e
from pabal_client.session import Session

UP, DOWN, INBOX = "pabal/v1/up/alice/phone", "pabal/v1/down/alice/phone", "pabal/v1/inbox/alice"


class Bench:
    """`listening` are the rooms that the server lets the session hear."""

    def __init__(self, server=None, **options):
        self.server = server or FakeServer()
        ids = count(1)
        self.session = Session(
            user="alice", device="phone", new_id=lambda: f"own{next(ids)}", random=lambda: 0.5, **options
        )
        self.now = 0.0
        self.effects = []
        self.sent = []
        self.taken = []
        self.settled = []
        self.marks = {}
        self.subscribes = []
        self.listening = set()

    def do(self, effects):
        for effect in effects:
            self.effects.append(effect)
            match effect:
                case e.Publish(topic=topic) if topic == UP:
                    self.sent.append(effect)
                case e.Subscribe(token=token) if token:
                    self.subscribes.append(effect)
                case e.Take(updates, rooms=marks):
                    self.taken += updates
                    self.marks.update({mark.conv: mark.position for mark in marks})
                case e.Settled():
                    self.settled.append(effect)
        return effects

    def connect(self, granted=(True, True, True)):
        self.listening.clear()
        self.do(self.session.connected(self.now, 1))
        self.do(self.session.subscribed(self.now, granted))

    def answer(self):
        """The server takes all that was sent, and its answers arrive."""
        while self.sent or self.subscribes:
            while self.subscribes:
                self.answer_subscription()
            while self.sent:
                publish = self.sent.pop(0)
                self.session.puback(publish.token)
                self.arrive(self.server.handle("alice", "phone", publish.payload))

    def answer_subscription(self):
        subscribe = self.subscribes.pop(0)
        granted = tuple(
            self.server.in_room("alice", topics.parse(name).conv) for name, _ in subscribe.filters
        )
        self.listening |= {name for (name, _), yes in zip(subscribe.filters, granted, strict=True) if yes}
        self.do(self.session.subscribed(self.now, granted, subscribe.token))

    def arrive(self, out):
        """What the server publishes, as far as this client is subscribed to it."""
        for topic, payload in out:
            if topic in {DOWN, INBOX} or topic in self.listening:
                self.hear(topic, payload)

    def hear(self, topic, payload):
        self.do(self.session.received(topic, payload, self.now))

    def wait(self, seconds):
        """Let time pass, ticking whenever the session asked for it."""
        end = self.now + seconds
        while (at := self.session.deadline()) is not None and at <= end:
            self.now = max(at, self.now)
            before = len(self.effects)
            self.do(self.session.tick(self.now))
            assert len(self.effects) > before or self.session.deadline() != at, (
                "it asked to be woken for nothing"
            )
        self.now = end

    def send(self, name, to="bob"):
        payload = json.dumps({"id": name, "to": to, "text": name}).encode()
        self.do(self.session.submit(e.Entry(name, payload, f"alice~{to}", durable=True), self.now))

    def ops(self):
        return [json.loads(publish.payload).get("op", "send") for publish in self.sent]

    def seqs(self):
        return [update.seq for update in self.taken]

    def of(self, conv):
        """The message_ids of a conversation as the application gets them."""
        fields = [update.fields() for update in self.taken if update.type != "mention"]
        return [one["message_id"] for one in fields if one.get("conv") == conv]


def peer_says(bench, text="hi"):
    """bob writes to alice. Returns what alice's inbox topic would carry."""
    _, out = bench.server.commit("bob", "pc", {"to": "alice", "text": text})
    return next(payload for topic, payload in out if topic == INBOX)
