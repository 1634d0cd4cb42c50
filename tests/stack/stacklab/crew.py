"""Some people who talk with each other without end, and what came of it."""

import contextlib
import os
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from pabal.errors import RateLimited, Unavailable
from pabal_client import Rest, Unreachable, backoff
from stacklab.shell import StackError, until
from stacklab.speakers import HttpSpeaker, LibrarySpeaker, Speaker, conversation
from stacklab.verdict import Evidence, Got

T = TypeVar("T")

PASSWORD = "correct horse battery"
_PAGE = 500
_DRAIN_S = 60.0
# A server that is killed every few seconds would otherwise keep all devices away for a minute.
_LONGEST_PAUSE_S = 2.0


class Crew:
    """Members have accounts and secrets of devices; two conversations each, and one group of all."""

    def __init__(self, api: str, mqtts: int, ca: Path, folder: Path, names: list[str], pace_s: float) -> None:
        """The last of `names` speaks over HTTP, the first over WebSocket, the others over MQTT; all with TLS."""
        backoff.LONGEST = _LONGEST_PAUSE_S
        # Whom HTTP trusts; the library's own connections are told it.
        os.environ["SSL_CERT_FILE"] = str(ca)
        self.names = names
        self._api, self._mqtts, self._folder, self._pace_s = api, mqtts, folder, pace_s
        self._tls = ssl.create_default_context(cafile=ca)
        self.rests = {name: Rest(api, timeout=20.0) for name in names}
        self.secrets: dict[str, str] = {}
        self.speakers: list[Speaker] = []
        self.group = ""

    def sign_up(self) -> None:
        """Accounts, a device each, and the group."""
        for name, rest in self.rests.items():
            rest.sign_up(name, PASSWORD)
            rest.token = rest.log_in(name, PASSWORD, "desk").access_token
            self.secrets[name] = rest.add_device("lab", PASSWORD).secret
            rest.token = rest.add_device("web", PASSWORD).secret
        first = self.names[0]
        made = self.rests[first].call(
            dict, "POST", "groups", body={"name": "Crew", "members": self.names[1:]}
        )
        self.group = str(made["conv"])

    def open(self) -> None:
        *talkers, web = self.names
        for name in talkers:
            broker = f"mqtts://localhost:{self._mqtts}"
            if name == self.names[0]:
                broker = f"wss://localhost:{self._api.rpartition(':')[2]}/mqtt"
            self.speakers.append(
                LibrarySpeaker(
                    name,
                    self.secrets[name],
                    broker,
                    self._tls,
                    self._folder,
                    self._pace_s,
                    self._convs(name),
                )
            )
        web_secret = self.rests[web].token or ""
        self.speakers.append(HttpSpeaker(web, web_secret, self._api, self._pace_s, self._convs(web)))

    def speak(self) -> None:
        for speaker in self.speakers:
            speaker.speak()

    def acknowledged(self) -> int:
        return sum(one.message_id is not None for speaker in self.speakers for one in speaker.said())

    def until_heard(self, seconds: float) -> float:
        """Returns how long it takes until each has something acknowledged that it has not said yet.

        Raises: StackError.
        """
        begun = {speaker.device: len(speaker.said()) for speaker in self.speakers}

        def all_heard() -> bool:
            return all(speaker.acknowledged() > begun[speaker.device] for speaker in self.speakers)

        try:
            return until(all_heard, "everybody is answered again", seconds, every=0.05)
        except StackError as error:
            silent = [s.device for s in self.speakers if s.acknowledged() <= begun[s.device]]
            raise StackError(f"{error}; not: {', '.join(silent)}") from None

    def settle(self) -> None:
        """Nobody speaks any more, all is answered, and all has arrived. Raises: StackError."""
        for speaker in self.speakers:
            speaker.hush()
        until(lambda: not any(s.unanswered() for s in self.speakers), "all is answered", _DRAIN_S)
        for speaker in self._libraries():
            speaker.client.sync(_DRAIN_S)

    def longest_http_s(self) -> float:
        """Until the slowest message over HTTP was answered."""
        return max(speaker.longest_s for speaker in self.speakers if isinstance(speaker, HttpSpeaker))

    def kept(self) -> Evidence:
        """What was said, with what is acknowledged now: what must not be lost from here on."""
        return Evidence(self._conversations(), [one for speaker in self.speakers for one in speaker.said()])

    def texts(self) -> frozenset[str]:
        """Of all that was said until now."""
        return frozenset(one.text for speaker in self.speakers for one in speaker.said())

    def evidence(self, lost: frozenset[str] = frozenset()) -> Evidence:
        """After `settle`. All that was acknowledged must be there, but for the texts that may be lost."""
        of = self.kept()
        of.said = [one._replace(message_id=None) if one.text in lost else one for one in of.said]
        for name in self.names:
            of.seqs[name], of.inboxes[name] = self.inbox(name)
        for speaker in self._libraries():
            since = speaker.snapshots[-1].head if speaker.snapshots else 0
            due = sum(got.seq > since for got in of.inboxes[speaker.user])
            with contextlib.suppress(StackError):  # the verdict says what is missing
                until(lambda s=speaker, n=due: len(s.handed) >= n, "it arrives", 20.0)  # type: ignore[misc]
            of.handed[speaker.device] = list(speaker.handed)
            of.since[speaker.device] = since
        return of

    def inbox(self, name: str) -> tuple[list[int], list[Got]]:
        """All of it by `sync`: the seqs, and the messages."""
        seqs: list[int] = []
        messages: list[Got] = []
        more = True
        while more:
            page = self.ask(name, lambda rest: rest.sync(seqs[-1] if seqs else 0, limit=_PAGE))
            for item in page.items:
                fields = msgspec.json.decode(item)
                seqs.append(fields["seq"])
                if fields["type"] == "message":
                    messages.append(
                        Got(
                            fields["seq"],
                            fields["conv"],
                            fields["message_id"],
                            fields["from"],
                            fields["text"],
                        )
                    )
            more = page.more
        return seqs, messages

    def ask(self, name: str, question: Callable[[Rest], T]) -> T:
        """Whatever is asked over HTTP, until it is answered. Raises: StackError."""
        end = time.monotonic() + _DRAIN_S
        while True:
            try:
                return question(self.rests[name])
            except (Unreachable, Unavailable, RateLimited) as error:
                if time.monotonic() > end:
                    raise StackError(f"no answer for {_DRAIN_S:g} s: {error}") from error
                time.sleep(0.3)

    def close(self) -> None:
        for speaker in self.speakers:
            speaker.close()
        self.speakers = []

    def _libraries(self) -> list[LibrarySpeaker]:
        return [speaker for speaker in self.speakers if isinstance(speaker, LibrarySpeaker)]

    def _convs(self, name: str) -> list[str]:
        place = self.names.index(name)
        after, before = (self.names[(place + step) % len(self.names)] for step in (1, -1))
        return [conversation(name, after), conversation(name, before), self.group]

    def _conversations(self) -> dict[str, frozenset[str]]:
        direct = {conv for name in self.names for conv in self._convs(name) if "~" in conv}
        return {conv: frozenset(conv.split("~")) for conv in direct} | {self.group: frozenset(self.names)}
