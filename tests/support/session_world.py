"""A session core with its store and a server, and between them a network whose packets wait to be delivered, lost
or doubled; and a client that can be killed between any two of its effects.
"""

import json
import tempfile
from itertools import count
from pathlib import Path

from fake_chat_server import FakeServer

from pabal import topics
from pabal_client import effects as e
from pabal_client.session import Session
from pabal_client.store import Store

# The client is killed, not the machine, so no disk has to be waited for.
MEMORY = Path("/dev/shm")
INBOX, DOWN = topics.inbox("alice"), topics.down("alice", "phone")


class World:
    """Attributes: `to_server` and `to_client` are what is under way; `accepted` are the ids of what the client
    took on, by lane, and `settled` of what it was answered; `got` is what the application took.
    """

    def __init__(self, page_limit):
        self.server = FakeServer()
        self.server.page_limit = page_limit
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self.now = 0.0
        self.ids = count(1)
        self.accepted = {}
        self.settled = []
        self.got = []
        self.crash_after = None
        self.refuse_rooms = 0
        self.link = 0
        self.to_server = []
        self.open()

    # The client: core and store, and what a shell does with effects.

    def open(self):
        self.store = Store(self.folder / "alice.db", "alice", "phone")
        epoch, cursor = self.store.position()
        self.session = Session(
            user="alice",
            device="phone",
            new_id=lambda: f"own{next(self.ids)}",
            random=lambda: 0.5,
            epoch=epoch,
            cursor=cursor,
            rooms=self.store.rooms(),
            entries=self.store.outbox(),
            window=2,
        )
        self._unlink()

    def _unlink(self):
        # What left the client may be read by the server after the client's death; what was sent to it is gone.
        self.connected = False
        self.link += 1
        self.to_client = []
        self.listening = set()

    def carry_out(self, effects):
        """Returns whether the client lived to see the end of it."""
        for effect in effects:
            if self.crash_after is not None:
                if self.crash_after == 0:
                    self.crash_after = None
                    self.kill()
                    return False
                self.crash_after -= 1
            self._carry_out_one(effect)
        return True

    def _carry_out_one(self, effect):
        match effect:
            case e.Keep(entry):
                self.store.keep(entry)
                self.accepted.setdefault(entry.lane, []).append(entry.id)
            case e.Settled(entry, reply, error):
                assert error is None
                assert entry.id not in self.settled
                self.settled.append(entry.id)
                self.store.note([], [entry.id])
                answer = json.loads(reply)
                stored = self.server.log[answer["conv"]][answer["message_id"] - 1]
                assert stored["id"] == entry.id
            case e.Take():
                self.store.note([effect])
            case e.Publish(topic=topic) if "/up/" in topic:
                self.to_server.append((self.link, effect))
            case e.Subscribe(token=token) if token:
                self.to_server.append((self.link, effect))
            case e.Disconnect(final=final):
                assert not final
                self.lose_connection()

    def kill(self):
        self.store.close()
        # A settled request whose removal was not yet on disk is settled again after the restart.
        with Store(self.folder / "alice.db", "alice", "phone") as store:
            kept = {entry.id for entry in store.outbox()}
        self.settled = [request_id for request_id in self.settled if request_id not in kept]
        self.open()

    def connect(self):
        self.connected = True
        if self.carry_out(self.session.connected(self.now, 1)):
            self.carry_out(self.session.subscribed(self.now, (True, True, True)))

    def lose_connection(self):
        self.session.disconnected()
        self._unlink()

    def tick(self):
        self.carry_out(self.session.tick(self.now))

    def take(self, how_many):
        """The application takes some of what waits for it."""
        for received in self.store.waiting(how_many):
            self.got.append(received.update)
            self.store.taken(received.place)

    # The network and the server behind it.

    def reach_server(self, link, effect):
        if isinstance(effect, e.Subscribe):
            if self.connected and link == self.link:
                self._subscribe(effect)
            return
        if self.connected and link == self.link:
            self.to_client.append(effect.token)
        self.arrive(self.server.handle("alice", "phone", effect.payload))

    def _subscribe(self, effect):
        names = [name for name, _ in effect.filters]
        granted = tuple(self.server.in_room("alice", topics.parse(name).conv) for name in names)
        if self.refuse_rooms:
            self.refuse_rooms -= 1
            granted = (False,) * len(names)
        self.listening |= {name for name, yes in zip(names, granted, strict=True) if yes}
        self.to_client.append((effect, granted))

    def arrive(self, out, lost_rooms=0):
        """What the server publishes is under way, as far as this client is subscribed to it."""
        if not self.connected:
            return
        for topic, payload in out:
            if topic in self.listening and lost_rooms:
                lost_rooms -= 1
            elif topic in {INBOX, DOWN} or topic in self.listening:
                self.to_client.append((topic, payload))

    def reach_client(self, what):
        if isinstance(what, int):
            self.session.puback(what)
        elif isinstance(what[0], e.Subscribe):
            subscribe, granted = what
            self.carry_out(self.session.subscribed(self.now, granted, subscribe.token))
        else:
            self.carry_out(self.session.received(*what, self.now))

    def restart_server(self, read_before):
        """It dies with so many of the requests under way committed and none of them answered."""
        for _, effect in self.to_server[:read_before]:
            if isinstance(effect, e.Publish):
                self.server.handle("alice", "phone", effect.payload)
        self.to_server.clear()
        self.lose_connection()
        self.server.restart()

    def everything_under_way_arrives(self):
        while self.to_server or (self.connected and self.to_client):
            while self.to_server:
                self.reach_server(*self.to_server.pop(0))
            while self.connected and self.to_client:
                self.reach_client(self.to_client.pop(0))
