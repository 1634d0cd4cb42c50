"""The files of docker/ as a reader without Docker sees them: with the defaults of what can stand in .env."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
FILES = tuple(sorted(path.name for path in DOCKER.glob("compose*.yaml")))
_VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")


def text(file: str) -> str:
    return (DOCKER / file).read_text("utf-8")


def variables(file: str) -> dict[str, str]:
    """What can stand in .env, with the default of each."""
    return dict(_VARIABLE.findall(text(file)))


def compose(file: str) -> dict[str, Any]:
    return yaml.safe_load(_VARIABLE.sub(lambda match: match[2], text(file)))


class Service(NamedTuple):
    """Of a file of Docker Compose."""

    file: str
    name: str
    spec: dict[str, Any]

    @property
    def is_pabal(self) -> bool:
        return self.spec["image"] == "pabal"

    def __str__(self) -> str:
        return f"{self.file.removesuffix('.yaml')} {self.name}"


def services() -> list[Service]:
    return [Service(file, name, spec) for file in FILES for name, spec in compose(file)["services"].items()]
