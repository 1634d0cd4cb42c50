"""What the server left behind, and what the laboratory itself noticed."""

from collections.abc import Iterator

from faultlab.evidence import Case, Rule


def _outbox_is_empty(case: Case) -> Iterator[str]:
    if case.evidence.outbox:
        yield f"{case.evidence.outbox} batches were never handed over"


def _laboratory_has_nothing_to_say(case: Case) -> Iterator[str]:
    yield from case.evidence.complaints


RULES: dict[str, Rule] = {
    "the outbox is empty at rest": _outbox_is_empty,
    "the laboratory noticed nothing": _laboratory_has_nothing_to_say,
}
