"""How large what travels may be, and the types of fields that several of them share."""

from typing import Annotated, Literal

from msgspec import Meta

from pabal.ids import REQUEST_ID_MAX

MAX_PACKET_BYTES = 256 * 1024
MAX_TEXT_BYTES = 32 * 1024
MAX_BODY_BYTES = 64 * 1024
# Every later reader, in whatever frame it runs, gets through this many levels.
MAX_BODY_DEPTH = 200
MAX_ARRAY = 100
MAX_SYNC_LIMIT = 500
MAX_HISTORY_LIMIT = 200
MAX_PAGE_BYTES = 200 * 1024
MAX_MENTIONS = 100
MAX_GROUP_NAME = 128
MAX_NEW_MEMBERS = 500
MAX_PRESENCE_USERS = 200
# One emoji may be many code points: a family of four with skin tones is eleven.
MAX_EMOJI = 32
MAX_CONTACT_TEXT = 500
MAX_PEOPLE_LIMIT = 500
MIN_SEARCH = 2
MAX_SEARCH = 64
MAX_FOUND = 100
MAX_REASON = 64
MAX_REPORT_TEXT = 2_000
MAX_LIFETIME_S = 365 * 24 * 3600
# 2^53 - 1: what every JSON reader, JavaScript's too, holds exactly.
MAX_NUMBER = 9_007_199_254_740_991
ContactAction = Literal["requested", "received", "accepted", "removed", "blocked", "unblocked"]
MAX_INVITE_SECONDS = 31_536_000
MAX_INVITE_CODE = 32
Role = Literal["owner", "admin", "member"]
HistoryMode = Literal["join", "all"]
PostingMode = Literal["all", "admins"]
EntryType = Literal["message", "edited", "recalled", "reaction", "member", "conversation"]
Number = Annotated[int, Meta(ge=0, le=MAX_NUMBER)]
PositiveNumber = Annotated[int, Meta(ge=1, le=MAX_NUMBER)]
RequestIdText = Annotated[str, Meta(min_length=1, max_length=REQUEST_ID_MAX)]
# A lone `$` would take "text\n" too; `\\Z` is not known to the readers of our OpenAPI document.
KIND_PATTERN = r"^[a-z0-9._-]+$(?!\n)"
KindText = Annotated[str, Meta(min_length=1, max_length=32, pattern=KIND_PATTERN)]
GroupName = Annotated[str, Meta(min_length=1, max_length=MAX_GROUP_NAME)]
InviteCode = Annotated[str, Meta(min_length=1, max_length=MAX_INVITE_CODE)]
InviteSeconds = Annotated[int, Meta(ge=1, le=MAX_INVITE_SECONDS)]
