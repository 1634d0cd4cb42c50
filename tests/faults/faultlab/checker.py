"""Judges what was seen. Pure: evidence in, violations out."""

from typing import NamedTuple

from faultlab.evidence import Case, Evidence, Rule
from faultlab.rules import conversations, inboxes, requests, rooms, server

_SHOWN = 5

RULES: dict[str, Rule] = {
    **requests.RULES,
    **conversations.RULES,
    **inboxes.RULES,
    **rooms.RULES,
    **server.RULES,
}


class Violation(NamedTuple):
    rule: str
    detail: str


def check(evidence: Evidence) -> list[Violation]:
    """Everything that is wrong, a few of each kind; empty when all promises were kept."""
    case = Case(evidence)
    found = []
    for name, rule in RULES.items():
        details = list(rule(case))
        found += [Violation(name, detail) for detail in details[:_SHOWN]]
        if len(details) > _SHOWN:
            found.append(Violation(name, f"and {len(details) - _SHOWN} more"))
    return found
