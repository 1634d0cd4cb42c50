"""Files that commands write for people."""

import os
from collections.abc import Iterable
from pathlib import Path

from cli.errors import CliError


def write_new(file: Path, chunks: Iterable[bytes]) -> int:
    """A file of mode 600 that was not there before. Returns its bytes; whatever fails leaves none behind.

    Raises: CliError if it is there already or cannot be written; whatever making the chunks raises.
    """
    try:
        made = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise CliError(f"{file} is there already", "give a name that is free") from None
    except OSError as error:
        raise CliError(f"{file} cannot be written: {error.strerror}") from None
    size = 0
    try:
        with os.fdopen(made, "wb") as opened:
            for chunk in chunks:
                size += opened.write(chunk)
    except OSError as error:
        file.unlink(missing_ok=True)
        raise CliError(f"{file} cannot be written: {error.strerror}") from None
    except BaseException:
        file.unlink(missing_ok=True)
        raise
    return size
