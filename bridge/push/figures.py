"""What a worker has done since its start, for metrics."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class PushFigures:
    """Counts.

    Attributes:
        sent: by service.
        failed: tries by `(service, what came of it)`: later, gone, again, refused, gave up.
        dropped: by the word for why.
        in_flight: tries that are under way at this moment.
    """

    sent: Counter[str] = field(default_factory=Counter)
    failed: Counter[tuple[str, str]] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0
