"""What a batch has to know of people, and what it changes between them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from bridge.people_commands import ChangeBlock, ChangeContact, MakeReport
from pabal.ids import ConvId, UserId
from pabal.privacy import DEFAULT, Privacy

State = Literal["accepted", "requested", "received"]
# Reports of one person. More are no help to whoever has to read them.
MAX_A_DAY = 100
Pair = tuple[UserId, UserId]
ReportKey = tuple[str, str, str, int]


@dataclass(frozen=True, slots=True)
class Reported:
    """A message as it stands when it is reported."""

    sender: str
    type: str
    kind: str
    ts: int
    text: str | None
    body: str | None
    is_recalled: bool
    expires: int | None = None


@dataclass(slots=True)
class PeopleFacts:
    """Of the people whom the batch names. Deciding a command changes them.

    `contacts` and `blocks` are by `(whose, about whom)`. `privacy` leaves out those who have chosen nothing.
    Of whoever has neither chosen nor blocked anything, only the commands about contacts and blocks know the pairs.
    `counts` has by user and state how many contacts there are, and by user and "blocked" how many blocks. `reports`
    has the numbers of reports made earlier by `(reporter, about, conversation, message)`, the last two empty where
    it is about a user, `report_times` the newest times, at most MAX_A_DAY, of each reporter's.
    """

    privacy: dict[UserId, Privacy] = field(default_factory=dict)
    contacts: dict[Pair, State] = field(default_factory=dict)
    blocks: set[Pair] = field(default_factory=set)
    counts: Counter[tuple[UserId, str]] = field(default_factory=Counter)
    messages: dict[tuple[ConvId, int], Reported] = field(default_factory=dict)
    reports: dict[ReportKey, int] = field(default_factory=dict)
    report_times: dict[UserId, list[int]] = field(default_factory=dict)
    last_report: int = 0
    # Who has deleted the account.
    gone: set[UserId] = field(default_factory=set)

    @property
    def is_open(self) -> bool:
        """Whether everybody here takes everything from everybody, so that no pair need be looked at."""
        return not self.blocks and not self.privacy

    def privacy_of(self, user: UserId) -> Privacy:
        return self.privacy.get(user, DEFAULT)


@dataclass(slots=True)
class PeopleWanted:
    """`pairs` are looked up whoever they are, each both ways; `met` those who put each other into groups, and those of
    direct conversations, only as far as one of the two has blocked somebody or chosen something.
    """

    pairs: set[Pair] = field(default_factory=set)
    met: set[Pair] = field(default_factory=set)
    counts: set[UserId] = field(default_factory=set)
    # `(reporter, conversation, message, about)`: about whom a message is, the message says.
    reports: list[tuple[str, str, int, str | None]] = field(default_factory=list)
    direct_messages: list[tuple[ConvId, int]] = field(default_factory=list)
    group_messages: list[tuple[ConvId, int]] = field(default_factory=list)

    def meet(self, one: UserId, others: Iterable[UserId]) -> None:
        """`one` puts the others into a group."""
        for other in others:
            self.met.add((one, other))
            self.met.add((other, one))


class ContactRow(msgspec.Struct, frozen=True, gc=False, array_like=True):
    user_id: str
    other_id: str
    state: State
    text: str | None
    ts: int


class ReportRow(msgspec.Struct, frozen=True, gc=False, array_like=True):
    report_id: int
    reporter: str
    about: str
    conv_id: str
    message_id: int
    reason: str
    text: str | None
    content: str | None
    ts: int


@dataclass(slots=True)
class PeoplePlan:
    """What one transaction writes about people: None takes away. `answered` are requests to be contacts that wait no
    longer, of who was asked and who asked, with the device of who was asked that saw to it; empty: it was not them.
    """

    contacts: dict[Pair, ContactRow | None] = field(default_factory=dict)
    blocks: dict[Pair, int | None] = field(default_factory=dict)
    reports: list[ReportRow] = field(default_factory=list)
    answered: dict[Pair, str] = field(default_factory=dict)


def want_people(
    keys: PeopleWanted, command: ChangeContact | ChangeBlock | MakeReport, *, direct: bool
) -> None:
    """`direct`: whether the message that is reported is in a direct conversation."""
    if isinstance(command, MakeReport):
        keys.reports.append((command.user, command.conv or "", command.message_id, command.about))
        if command.conv is not None:
            messages = keys.direct_messages if direct else keys.group_messages
            messages.append((command.conv, command.message_id))
        return
    keys.pairs.add((command.user, command.other))
    keys.pairs.add((command.other, command.user))
    keys.counts.update((command.user, command.other))
