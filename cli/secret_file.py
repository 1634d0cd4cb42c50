"""Secrets in files of their own, as container engines and systemd hand them out."""

import stat
from pathlib import Path

from cli.errors import SettingsError

_MOST_BYTES = 4096


def read(name: str, file: Path) -> str:
    """What is in it, without the line's end. `name` is the setting's.

    Raises: SettingsError if it cannot be read, is empty, or is for all to read.
    """
    try:
        mode = file.stat().st_mode
        text = file.read_bytes()[: _MOST_BYTES + 1].decode()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "no text"
        raise SettingsError(
            f"{name} = {str(file)!r} cannot be read ({why}); expected a file with the secret"
        ) from None
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise SettingsError(
            f"{name} = {str(file)!r} can be read by anybody; expected a file of mode 600 or 640"
        )
    secret = text.rstrip("\r\n")
    if not secret or len(text) > _MOST_BYTES:
        raise SettingsError(f"{name} = {str(file)!r} holds no secret; expected one line with it")
    return secret
