"""A small disk that can be filled: a tmpfs, where this user may mount one."""

import contextlib
import os
import subprocess
from pathlib import Path

_BALLAST = "ballast"


class Disk:
    """The server's data folder. `mounted` tells whether it is a file system of its own, and so can be full."""

    def __init__(self, folder: Path, mebibytes: int) -> None:
        self.folder = folder
        folder.mkdir()
        self.mounted = _mount(folder, mebibytes)

    def fill(self) -> None:
        """Not a byte is left."""
        with (self.folder / _BALLAST).open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
            while True:
                ballast.write(bytes(64 * 1024))

    def clear(self) -> None:
        (self.folder / _BALLAST).unlink(missing_ok=True)

    def release(self) -> None:
        if self.mounted:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=False, capture_output=True)
            self.mounted = False


def _mount(folder: Path, mebibytes: int) -> bool:
    if os.geteuid() != 0:
        return False
    size = f"size={mebibytes}m,mode=700"
    with contextlib.suppress(OSError):
        command = ["mount", "-t", "tmpfs", "-o", size, "pabal-faults", str(folder)]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    return False
