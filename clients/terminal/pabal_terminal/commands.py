"""The commands: each takes what the command line gave it, prints through `Output`, and raises `TerminalError`."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pabal.errors import Conflict, PabalError, RateLimited, Unauthorized, Unavailable
from pabal.ids import REQUEST_ID_MAX, UserId, is_direct, members_of, parse_device, parse_user
from pabal.messages import Committed, Send
from pabal_client.client import Client, new_id
from pabal_client.errors import ClientError, Kicked, LoginRefused, StoreInUse, Unreachable
from pabal_client.naming import conversation_of
from pabal_client.rest import LogIn, Rest
from pabal_client.tokens import FreshToken, tokens_of
from pabal_client.updates import HistoryPage
from pabal_terminal.errors import TerminalError
from pabal_terminal.output import Output
from pabal_terminal.profile import Profile, ProfileFile

_AGAIN: Final = "run `pabal login` again"
_IS_IT_RUNNING: Final = "is the server running, and is the address right?"
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
    server = _server_url(server_url)
    file = ProfileFile(profile_path)
    with _told(login=True):
        name = parse_device(device) if device is not None else _device_name()
        parse_user(user)
        with Rest(server) as rest:
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
    request_id: str | None = None,
    timeout: float = 30.0,
    profile_path: Path | None = None,
    output: Output | None = None,
) -> Committed:
    """Send `text` to a user or a conversation; returns once the server has it on disk.

    The same `request_id` given again is stored once, so a send of unknown outcome can be repeated.
    `timeout` is in seconds, over all attempts.

    Raises: TerminalError.
    """
    if request_id is not None and not 0 < len(request_id) <= REQUEST_ID_MAX:
        raise TerminalError(f"an id has 1 to {REQUEST_ID_MAX} characters", code="bad_request")
    file = ProfileFile(profile_path)
    profile = file.read()
    name = request_id or new_id()
    with _told(), Rest(profile.server) as rest:
        conv = conversation_of(UserId(profile.user), to)
        # A first message may begin the conversation, which only `@name` says for sure.
        target = f"@{_other(conv, profile.user)}" if is_direct(conv) else conv
        message = Send(id=name, conv=conv, text=text)
        committed = _send_until(rest, FreshToken(profile.server, file), target, message, timeout)
    if output is not None:
        if output.json:
            output.data(
                {
                    "id": name,
                    "conv": committed.conv,
                    "message_id": committed.message_id,
                    "ts": committed.ts,
                    "dup": committed.dup,
                }
            )
        else:
            again = " (it was there already)" if committed.dup else ""
            output.line(f"sent: {committed.conv} #{committed.message_id}{again}")
    return committed


def _send_until(rest: Rest, token: FreshToken, target: str, message: Send, timeout: float) -> Committed:
    """Try until it is committed or refused for good; always with the same id, so it is stored once."""
    until = time.monotonic() + timeout
    wait, refused = 0.5, False
    while True:
        try:
            rest.token = token(refused=refused)
            return rest.send(target, message, timeout=max(0.1, min(10.0, until - time.monotonic())))
        except Unauthorized:
            if refused:
                raise
            refused = True
            continue
        except (Unreachable, Unavailable, RateLimited) as error:
            pause = max(wait, getattr(error, "retry_after", None) or 0.0)
            wait *= 2
            if time.monotonic() + pause >= until:
                raise TerminalError(
                    error.detail,
                    hint=f"it may or may not have been kept; with `--id {message.id}` it is safe to send again",
                    code=getattr(error, "code", None),
                ) from error
        time.sleep(pause)


def listen(
    *,
    count: int | None = None,
    profile_path: Path | None = None,
    output: Output | None = None,
    stop: threading.Event | None = None,
) -> int:
    """Print what was missed since the last time, then each message as it comes; returns how many. What else
    happens, such as somebody who joins a group, is a line as well, but not counted.

    Ends after `count` messages, when `stop` is set (looked at once a second), or on Ctrl-C
    (KeyboardInterrupt is answered here: the return is normal).

    Raises: TerminalError.
    """
    shown = 0
    output = output or Output()
    file = ProfileFile(profile_path)
    profile = file.read()
    me = UserId(profile.user)
    with _told():
        try:
            with _open(file, profile) as client:
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


def _open(file: ProfileFile, profile: Profile) -> Client:
    return Client.open(
        profile.mqtt,
        user=profile.user,
        device=profile.device,
        password=FreshToken(profile.server, file),
        store=file.store(profile),
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
    file = ProfileFile(profile_path)
    profile = file.read()
    me = UserId(profile.user)
    pages: list[HistoryPage] = []
    with _told(), Rest(profile.server) as rest:
        conv = conversation_of(me, conversation)
        token = FreshToken(profile.server, file)
        left = limit
        while left > 0:
            page = _history_page(rest, token, conv, before, min(left, _PAGE))
            pages.append(page)
            left -= len(page.items)
            if not page.more or not page.items:
                break
            before = page.items[0].message_id
    for page in reversed(pages):
        for message in page.items:
            output.message(message, me)
    return sum(len(page.items) for page in pages)


def _history_page(rest: Rest, token: FreshToken, conv: str, before: int | None, limit: int) -> HistoryPage:
    rest.token = token()
    try:
        return rest.history(conv, before=before, limit=limit)
    except Unauthorized:
        rest.token = token(refused=True)
        return rest.history(conv, before=before, limit=limit)


def _other(conv: str, me: str) -> str:
    members = members_of(conv)  # type: ignore[arg-type] # parsed by the caller
    return next((member for member in members if member != me), me)


def _server_url(text: str) -> str:
    url = urlsplit(text if "://" in text else f"http://{text}")
    if url.scheme not in {"http", "https"} or not url.hostname:
        raise TerminalError(
            f"{text!r} is no server address", hint="it looks like http://127.0.0.1:8080", code="bad_request"
        )
    return url.geturl().rstrip("/")


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


@contextmanager
def _told(*, login: bool = False) -> Iterator[None]:
    """What went wrong, in words for somebody at a terminal."""
    try:
        yield
    except PabalError as error:
        raise TerminalError(error.detail, hint=_hint(error, login=login), code=error.code) from error
    except LoginRefused as error:
        raise TerminalError(error.detail, hint=_AGAIN, code="unauthorized") from error
    except Kicked as error:
        raise TerminalError(error.detail, hint=_AGAIN) from error
    except StoreInUse as error:
        hint = "is `pabal listen` running in another terminal? Log in with another --device there"
        raise TerminalError(error.detail, hint=hint) from error
    except Unreachable as error:
        raise TerminalError(error.detail, hint=_IS_IT_RUNNING) from error
    except ClientError as error:
        raise TerminalError(error.detail) from error


def _hint(error: PabalError, *, login: bool) -> str | None:
    if isinstance(error, Unauthorized):
        return "is the password right? A new account needs --sign-up" if login else _AGAIN
    if isinstance(error, Conflict) and login:
        return "the name is taken: log in without --sign-up, or choose another"
    if isinstance(error, RateLimited | Unavailable) and error.retry_after:
        return f"try again in {error.retry_after} s"
    return None
