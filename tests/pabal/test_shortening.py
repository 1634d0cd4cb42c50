"""Texts cut to what fits, and never inside of a character."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pabal.shortening import json_bytes, shortened

TEXT = st.text(st.characters(codec="utf-8"), max_size=60)


def test_a_text_with_room_enough_stays_as_it_is():
    assert shortened("안녕, Bob", 13) == "안녕, Bob"
    assert shortened("", 0) == ""


def test_a_text_without_ends_in_an_ellipsis_and_keeps_to_its_room():
    assert shortened("안녕하세요", 12) == "안녕하…"
    assert shortened("안녕하세요", 14) == "안녕하…"
    assert shortened("안녕하세요", 15) == "안녕하세요"


def test_no_space_is_left_before_the_ellipsis():
    assert shortened("one two three", 7) == "one…"


def test_where_not_even_the_ellipsis_has_room_there_is_nothing():
    assert shortened("four", 2) == ""
    assert shortened("four", 3) == "…"
    assert shortened("", -1) == ""


def test_what_json_escapes_is_counted_as_it_is_written():
    assert shortened('"""""', 8) == '""…'
    assert shortened("\x01\x01\x01", 14) == "\x01…"


@pytest.mark.parametrize(
    "character",
    [
        "e\N{COMBINING ACUTE ACCENT}",
        "\N{THUMBS UP SIGN}\N{EMOJI MODIFIER FITZPATRICK TYPE-5}",
        "\N{MAN}\N{ZERO WIDTH JOINER}\N{WOMAN}\N{ZERO WIDTH JOINER}\N{GIRL}",
        "\N{HEAVY BLACK HEART}\N{VARIATION SELECTOR-16}",
        "\N{WAVING BLACK FLAG}\U000e0067\U000e0062\U000e007f",
        "\u1112\u1161\u11ab",  # 한, written in its parts
        "\u1100\u1100\u1161",
        "\uac00\u11a8",
        "\r\n",
    ],
)
def test_a_character_of_several_code_points_is_kept_whole_or_left_out(character):
    text = f"ab{character}cdefgh"
    for room in range(3, json_bytes(text)):
        kept = shortened(text, room).removesuffix("…")
        assert kept in {"", "a", "ab"} or kept.startswith(f"ab{character}".rstrip()), room


def test_flags_are_cut_between_two_of_them():
    korea, chile = "\U0001f1f0\U0001f1f7", "\U0001f1e8\U0001f1f1"
    text = f"{korea}{chile}{korea}"
    assert {shortened(text, room) for room in range(3, json_bytes(text))} == {
        "…", f"{korea}…", f"{korea}{chile}…"
    }  # fmt: skip


def test_parts_of_korean_syllables_that_do_not_belong_together_can_be_parted():
    assert shortened("\u3131\u11a8\u11a8", 8) == "\u3131…"


@given(TEXT)
def test_bytes_are_those_of_the_encoder(text):
    assert json_bytes(text) == len(msgspec.json.encode(text)) - 2


@given(TEXT, st.integers(0, 200))
def test_it_is_a_beginning_that_fits_and_can_be_encoded(text, room):
    cut = shortened(text, room)
    assert json_bytes(cut) <= room
    assert cut == text or text.startswith(cut.removesuffix("…"))
    assert json_bytes(text) > room or cut == text
