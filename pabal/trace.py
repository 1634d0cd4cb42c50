"""Following one request through all processes: the trace context of W3C, version 00, in one line of text.

It stands in the MQTT 5 user property and the HTTP header of that name: `00-{trace id}-{parent id}-{flags}`, in
lower-case hex digits. An id of zeros is none.
"""

import re
from dataclasses import dataclass
from typing import Final

NAME: Final = "traceparent"
_SAMPLED: Final = 1
# A later version may have more behind its first four parts, and is read as far as it is known.
_FORM: Final = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<parent>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
)


@dataclass(frozen=True, slots=True)
class Trace:
    """Whose request this is in the eyes of those who follow it.

    Attributes:
        trace_id: 32 hex digits, the same from the first packet to the last push.
        parent_id: 16 hex digits: the step from which this one comes.
        sampled: whether it is to be followed; without, it is only passed on.
    """

    trace_id: str
    parent_id: str
    sampled: bool = True

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.parent_id}-{int(self.sampled):02x}"


def parse(text: str) -> Trace | None:
    """Returns None for what is none: then it is as if nothing had been sent."""
    found = _FORM.fullmatch(text)
    if found is None or found["version"] == "ff" or (found["version"] == "00" and found["more"]):
        return None
    if not found["trace"].strip("0") or not found["parent"].strip("0"):
        return None
    return Trace(found["trace"], found["parent"], bool(int(found["flags"], 16) & _SAMPLED))
