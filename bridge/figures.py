"""What the relay counts for those who watch it: plain numbers, read when somebody asks."""

from pabal.histogram import Histogram

BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
COMMIT_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Figures:
    """Each attribute has one thread that writes it; whoever reads may be a moment behind.

    Attributes:
        accepted: requests that write and were committed; what only reads is not counted.
        refused: requests of either kind that were not granted, by code.
        batches: requests in a transaction.
        commits: seconds that a transaction took, tried again or not.
        users_online: how many users are shown as online or away.
    """

    __slots__ = ("accepted", "batches", "commits", "refused", "users_online")

    def __init__(self) -> None:
        self.accepted = 0
        self.users_online = 0
        self.refused: dict[str, int] = {}
        self.batches = Histogram(BATCH_SIZES)
        self.commits = Histogram(COMMIT_SECONDS)

    def refuse(self, code: str) -> None:
        self.refused[code] = self.refused.get(code, 0) + 1
