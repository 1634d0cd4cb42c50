"""What pip is to install, without the project itself: `python3 dependencies.py pyproject.toml postgres,redis`.

Run while the image is built, so that the layer of the dependencies depends on nothing but them.
"""

import sys
import tomllib
from pathlib import Path
from typing import Any


def wanted(project: dict[str, Any], extras: list[str]) -> list[str]:
    """The lines of a requirements file. Raises: SystemExit for an extra that there is not."""
    optional = project["optional-dependencies"]
    unknown = [extra for extra in extras if extra not in optional]
    if unknown:
        raise SystemExit(f"EXTRAS: there is no {unknown[0]!r}; expected some of {', '.join(optional)}")
    return [*project["dependencies"], *(line for extra in extras for line in optional[extra])]


if __name__ == "__main__":
    _file, _extras = sys.argv[1:]
    _project = tomllib.loads(Path(_file).read_text("utf-8"))["project"]
    print("\n".join(wanted(_project, [extra for extra in _extras.split(",") if extra])))
