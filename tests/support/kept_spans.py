"""A recorder that keeps what it is told."""

from bridge.tracing import Span


class Kept:
    """`bridge.tracing.Recorder`."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def record(self, span: Span) -> None:
        self.spans.append(span)

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]
