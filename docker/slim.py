"""Leave out of a virtual environment what nothing needs at run time: `python3 slim.py /opt/pabal`.

Tests and type stubs of dependencies, and what only compilers read. Run while the image is built.
"""

import shutil
import sys
from pathlib import Path

FOLDERS = ("tests", "test", "testing", "include")
FILES = ("*.pyi", "*.pxd", "*.pyx", "*.c", "*.h")
# Packages whose folder of that name is more than tests: their own modules import it.
KEPT = frozenset({"sqlalchemy/testing"})


def slim(environment: Path) -> int:
    """Returns how many bytes went."""
    [packages] = environment.glob("lib/python3*/site-packages")
    gone = 0
    for name in FOLDERS:
        for folder in sorted(packages.rglob(name)):
            if folder.is_dir() and folder.relative_to(packages).as_posix() not in KEPT:
                gone += sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
                shutil.rmtree(folder)
    for pattern in FILES:
        for file in packages.rglob(pattern):
            gone += file.stat().st_size
            file.unlink()
    return gone


if __name__ == "__main__":
    print(f"{slim(Path(sys.argv[1])) / 1e6:.1f} MB were left out")
