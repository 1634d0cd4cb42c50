"""What pushes say, in Korean and in English."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pabal.push import Lang


@dataclass(frozen=True, slots=True)
class _Words:
    """`kinds` are for messages that are no text, `any` for all others that have none; `mentioned` and `said` take the
    sender's name and what was said, `asks_saying` what a request to be a contact says.
    """

    any: str
    kinds: Mapping[str, str]
    mentioned: str
    said: str
    asks: str
    asks_saying: str


_KOREAN: Final = _Words(
    any="메시지를 보냈습니다",
    kinds={
        "image": "사진을 보냈습니다",
        "photo": "사진을 보냈습니다",
        "video": "동영상을 보냈습니다",
        "audio": "음성을 보냈습니다",
        "voice": "음성 메시지를 보냈습니다",
        "file": "파일을 보냈습니다",
        "location": "위치를 보냈습니다",
        "contact": "연락처를 보냈습니다",
        "sticker": "스티커를 보냈습니다",
        "poll": "투표를 올렸습니다",
    },
    mentioned="{name}님이 회원님을 언급했습니다: {text}",
    said="{name}: {text}",
    asks="연락처 요청을 보냈습니다",
    asks_saying="연락처 요청: {text}",
)
_ENGLISH: Final = _Words(
    any="sent a message",
    kinds={
        "image": "sent a photo",
        "photo": "sent a photo",
        "video": "sent a video",
        "audio": "sent a sound",
        "voice": "sent a voice message",
        "file": "sent a file",
        "location": "sent a location",
        "contact": "sent a contact",
        "sticker": "sent a sticker",
        "poll": "started a poll",
    },
    mentioned="{name} mentioned you: {text}",
    said="{name}: {text}",
    asks="asks to be your contact",
    asks_saying="asks to be your contact: {text}",
)
_WORDS: Final[dict[Lang, _Words]] = {"ko": _KOREAN, "en": _ENGLISH}
# More than any service takes; what is beyond it need not be carried along.
MAX_TEXT = 2_000


def content(lang: Lang, kind: str, text: str | None) -> str:
    """What was said, or in words what was sent."""
    said = " ".join((text or "").split())[:MAX_TEXT]
    words = _WORDS[lang]
    return said or words.kinds.get(kind, words.any)


def sent_something(lang: Lang) -> str:
    """That there is a message, and nothing of what it says."""
    return _WORDS[lang].any


def asks(lang: Lang, text: str | None) -> str:
    """That somebody asks to be a contact, with the words of the request if there are any to be shown."""
    said, words = " ".join((text or "").split())[:MAX_TEXT], _WORDS[lang]
    return words.asks_saying.replace("{text}", said, 1) if said else words.asks


def in_group(lang: Lang, name: str, text: str, *, mentioned: bool) -> str:
    """Who said it, before what was said."""
    words = _WORDS[lang]
    # Not by `format` over the whole: a text may have braces of its own.
    return (
        (words.mentioned if mentioned else words.said).replace("{name}", name, 1).replace("{text}", text, 1)
    )
