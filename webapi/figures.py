"""What a web process counts for those who watch it."""

import threading

from pabal.histogram import Histogram

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
ROUND_TRIP_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Figures:
    """Thread-safe; whoever reads may be a moment behind. There are as many keys as there are routes and statuses.

    Attributes:
        answers: how often each route ended with each status.
        seconds: how long each route took.
        round_trips: seconds from asking the relay to its answer.
        unanswered: questions that it did not answer in time, or that were too many.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self.answers: dict[tuple[str, ...], int] = {}
        self.seconds: dict[str, Histogram] = {}
        self.round_trips = Histogram(ROUND_TRIP_SECONDS)
        self.unanswered = 0

    def answered(self, route: str, status: int, took_s: float) -> None:
        with self._guard:
            key = (route, str(status))
            self.answers[key] = self.answers.get(key, 0) + 1
            self.seconds.setdefault(route, Histogram(SECONDS)).add(took_s)

    def asked(self, took_s: float) -> None:
        with self._guard:
            self.round_trips.add(took_s)

    def not_answered(self) -> None:
        with self._guard:
            self.unanswered += 1
