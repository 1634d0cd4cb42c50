"""The commands: each takes what the command line gave it, prints through `Output`, and raises `TerminalError`."""

import re
import socket
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from pabal.ids import UserId, is_direct, members_of, parse_device, parse_user
from pabal.messages import Committed, Send
from pabal_client.client import Client
from pabal_client.live import Receipt, Typing
from pabal_client.rest import LogIn, Rest
from pabal_client.tokens import FreshToken, tokens_of
from pabal_client.updates import HistoryPage
from pabal_terminal.asking import Asker, asking, checked_id
from pabal_terminal.errors import TerminalError
from pabal_terminal.output import Output
from pabal_terminal.profile import Profile, ProfileFile
from pabal_terminal.telling import told

_PAGE = 200


def login(
    server_url: str,
    user: str,
    password: str,
    device: str | None = None,
    *,
    sign_up: bool = False,
    profile_path: Path | None = None,
    output: Output | None = None,
) -> Profile:
    """Log this terminal in as a device of `user` and keep the session in the profile file (mode 600).

    `server_url` is the server's HTTP address, such as `http://127.0.0.1:8080`. Without `device` the name of
    this machine is used. With `sign_up` the account is made first.

    Raises: TerminalError.
    """
    file = ProfileFile(profile_path)
    with told(login=True):
        name = parse_device(device) if device is not None else _device_name()
        parse_user(user)
        with Rest(_server_url(server_url)) as rest:
            server = rest.base_url
            if sign_up:
                rest.sign_up(user, password)
            granted = rest.log_in(user, password, name)
        profile = _profile(server, user, name, granted)
        with file.locked():
            file.write(profile)
    if output is not None:
        if output.json:
            output.data({"user": user, "device": name, "server": server})
        else:
            output.line(f"logged in as {user} on {name}; the session is kept in {file.path}")
    return profile


def send(
    to: str,
    text: str,
    *,
    reply_to: int | None = None,
    mentions: Sequence[str] = (),
    expires_in: int | None = None,
    request_id: str | None = None,
    timeout: float = 30.0,
    profile_path: Path | None = None,
    output: Output | None = None,
) -> Committed:
    """Send `text` to a user or a conversation; returns once the server has it on disk.

    The same `request_id` given again is stored once, so a send of unknown outcome can be repeated.
    `timeout` is in seconds, over all attempts; `expires_in` likewise, until the content goes.

    Raises: TerminalError.
    """
    name = checked_id(request_id)
    with asking(profile_path) as asker:
        conv = asker.conversation(to)
        # A first message may begin the conversation, which only `@name` says for sure.
        target = f"@{_other(conv, asker.me)}" if is_direct(conv) else conv
        named = [one.removeprefix("@") if one != "@all" else one for one in mentions]
        message = Send(
            id=name, conv=conv, text=text, reply_to=reply_to, mentions=named, expires_in=expires_in
        )
        committed = asker.until(
            lambda rest, one_try: rest.send(target, message, timeout=one_try), timeout, name
        )
    if output is not None:
        output.committed(f"sent: {committed.conv} #{committed.message_id}", name, committed)
    return committed


def listen(
    *,
    count: int | None = None,
    live: bool = False,
    profile_path: Path | None = None,
    output: Output | None = None,
    stop: threading.Event | None = None,
) -> int:
    """Print what was missed since the last time, then each message as it comes; returns how many. What else
    happens, such as somebody who joins a group, is a line as well, but not counted. With `live` so is who types, and
    how far others have received and read.

    Ends after `count` messages, when `stop` is set (looked at once a second), or on Ctrl-C
    (KeyboardInterrupt is answered here: the return is normal).

    Raises: TerminalError.
    """
    shown = 0
    output = output or Output()
    file = ProfileFile(profile_path)
    profile = file.read()
    me = UserId(profile.user)
    with told():
        try:
            with _open(file, profile, on_live=output.live if live else None) as client:
                while (count is None or shown < count) and not (stop is not None and stop.is_set()):
                    for update in client.updates(timeout=1.0):
                        if message := update.message():
                            output.message(message, me)
                            shown += 1
                        else:
                            output.update(update)
                        if shown == count:
                            break
        except KeyboardInterrupt:
            return shown
    return shown


def _open(file: ProfileFile, profile: Profile, on_live: Callable[[Typing | Receipt], None] | None) -> Client:
    return Client.open(
        profile.mqtt,
        user=profile.user,
        device=profile.device,
        password=FreshToken(profile.server, file),
        store=file.store(profile),
        on_live=on_live,
    )


def history(
    conversation: str,
    *,
    limit: int = 50,
    before: int | None = None,
    profile_path: Path | None = None,
    output: Output | None = None,
) -> int:
    """Print the newest messages of the conversation with a user, or of a conversation by its id, oldest first;
    returns how many.

    Raises: TerminalError.
    """
    output = output or Output()
    pages: list[HistoryPage] = []
    with asking(profile_path) as asker:
        conv = asker.conversation(conversation)
        left = limit
        while left > 0:
            page = _history_page(asker, conv, before, min(left, _PAGE))
            pages.append(page)
            left -= len(page.items)
            if not page.more or not page.items:
                break
            before = page.items[0].message_id
    for page in reversed(pages):
        for message in page.items:
            # What was done to a message is seen in the message itself.
            if output.json or message.target is None:
                output.message(message, asker.me)
    return sum(len(page.items) for page in pages)


def _history_page(asker: Asker, conv: str, before: int | None, limit: int) -> HistoryPage:
    return asker.http.do(lambda rest: rest.history(conv, before=before, limit=limit))


def _other(conv: str, me: str) -> str:
    members = members_of(conv)  # type: ignore[arg-type] # parsed by the caller
    return next((member for member in members if member != me), me)


def _server_url(text: str) -> str:
    url = urlsplit(text if "://" in text else f"http://{text}")
    if url.scheme not in {"http", "https"} or not url.hostname:
        raise TerminalError(
            f"{text!r} is no server address", hint="it looks like http://127.0.0.1:8080", code="bad_request"
        )
    return url.geturl()


def _device_name() -> str:
    """Of this machine, so that a login here does not end the session of another one."""
    host = re.sub(r"[^A-Za-z0-9_-]+", "-", socket.gethostname().split(".")[0]).strip("-")
    return f"cli-{host}"[:32].rstrip("-")


def _profile(server: str, user: str, device: str, granted: LogIn) -> Profile:
    tokens = tokens_of(granted, time.time())
    return Profile(
        server=server,
        user=granted.user or user,
        device=granted.device or device,
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token,
        expires_at=tokens.expires_at,
        mqtt=_broker(server, granted),
    )


def _broker(server: str, granted: LogIn) -> str:
    """Where the server says that MQTT is; by default on its own host, at MQTT's port."""
    if granted.mqtt.tcp:
        tcp = granted.mqtt.tcp
        return tcp if "://" in tcp else f"mqtt://{tcp}"
    if granted.mqtt.ws:
        ws = granted.mqtt.ws
        return ws if "://" in ws else f"ws://{ws}"
    return f"mqtt://{urlsplit(server).hostname}:1883"
