"""Where an act on an account comes from, for the audit log."""

from dataclasses import dataclass
from typing import Literal

from pabal.ids import DeviceId


@dataclass(frozen=True, slots=True)
class Origin:
    """`address` is the network's, `device` the one whose credential asked; `via` is the way it came."""

    address: str | None = None
    device: DeviceId | None = None
    via: Literal["http", "mqtt", "operator"] | None = None


UNKNOWN = Origin()
OPERATOR = Origin(via="operator")
"""Whoever may work on the database directly."""
