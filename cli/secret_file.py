"""Secrets that are given as files, such as those that Docker mounts."""

from pathlib import Path
from typing import Final

from bridge.accounts.exposure import is_exposed
from cli.errors import SettingsError

_LONGEST: Final = 64 * 1024


def read(setting: str, file: Path) -> str:
    """The secret, without spaces and line ends around it. `setting` is the one that names the file.

    Raises: SettingsError for a file that cannot be read or can be read by anybody, and for one without a secret.
    """
    said = f"{setting} = '{file}'"
    try:
        with file.open("rb") as opened:
            content = opened.read(_LONGEST + 1)
    except OSError as error:
        raise SettingsError(
            f"{said} cannot be read ({error.strerror}); expected a file with the secret"
        ) from None
    if is_exposed(file):
        raise SettingsError(f"{said} can be read by anybody; expected a file of mode 600 or 640")
    try:
        secret = content.decode().strip()
    except UnicodeDecodeError:
        secret = ""
    if not secret or len(content) > _LONGEST:
        raise SettingsError(f"{said} has no secret in it; expected one line of text")
    return secret
