"""Who else can read a file that keeps a secret."""

import os
import stat
from pathlib import Path
from typing import Final

OTHERS: Final = stat.S_IRWXO
OTHERS_AND_GROUP: Final = stat.S_IRWXO | stat.S_IRWXG


def is_exposed(file: Path, whom: int = OTHERS) -> bool:
    """Whether any of them (bits of a mode) may read, write or run this file.

    On a mount that is read-only nobody could set the mode right, and what is mounted so for this process alone, as
    Docker and Kubernetes do with secrets, often has 0444: there it says nothing.

    Raises: OSError.
    """
    return bool(file.stat().st_mode & whom) and not os.statvfs(file).f_flag & os.ST_RDONLY
