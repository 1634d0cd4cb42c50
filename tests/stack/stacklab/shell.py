"""Commands that end: each with a bound, and with what it said when it fails."""

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_TAIL = 4000


class StackError(Exception):
    """The laboratory cannot go on: a command failed, or something did not come in time. No verdict on the server."""


def run(
    command: Sequence[str],
    *,
    seconds: float,
    environment: Mapping[str, str] | None = None,
    stdin: bytes | Path | None = None,
    stdout: Path | None = None,
) -> str:
    """What it printed; into the file `stdout` if there is one. Raises: StackError."""
    shown = " ".join(command)
    fed = stdin.read_bytes() if isinstance(stdin, Path) else stdin
    try:
        done = subprocess.run(
            command,
            input=fed if fed is not None else b"",
            capture_output=True,
            env=None if environment is None else dict(environment),
            timeout=seconds,
            check=False,
        )
    except FileNotFoundError as error:
        raise StackError(f"{shown}: {error}") from error
    except subprocess.TimeoutExpired as error:
        said = (error.stdout or b"") + (error.stderr or b"")
        raise StackError(f"{shown}\ntook more than {seconds:g} s:\n{_end_of(said)}") from error
    if done.returncode:
        raise StackError(f"{shown}\nended with {done.returncode}:\n{_end_of(done.stdout + done.stderr)}")
    if stdout is not None:
        stdout.write_bytes(done.stdout)
        return ""
    return done.stdout.decode("utf-8", "replace")


def until(holds: Callable[[], object], what: str, seconds: float, *, every: float = 0.25) -> float:
    """Wait for a condition. Returns how many seconds it took.

    Raises: StackError if it does not come true in time.
    """
    begun = time.monotonic()
    while not holds():
        if time.monotonic() - begun > seconds:
            raise StackError(f"not within {seconds:g} s: {what}")
        time.sleep(every)
    return time.monotonic() - begun


def _end_of(said: bytes) -> str:
    return said.decode("utf-8", "replace").strip()[-_TAIL:]
