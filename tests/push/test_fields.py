"""Fields of subscriptions."""

import re

import pytest

from pabal.errors import BadRequest
from push import fields


def test_a_text_is_held_against_its_pattern():
    pattern = re.compile("[a-z]{1,3}")
    assert fields.text({"token": "abc"}, "token", pattern, "letters") == "abc"
    for wrong in ("abcd", "", "abc\n", 7, ["a"]):
        with pytest.raises(BadRequest, match="token: expected letters"):
            fields.text({"token": wrong}, "token", pattern, "letters")
    with pytest.raises(BadRequest, match="token: is missing; expected letters"):
        fields.text({}, "token", pattern, "letters")


@pytest.mark.parametrize("size", [15, 16, 17, 65])
def test_base64_of_the_right_size_is_kept_without_padding(size):
    bare = fields.encoded(b"\xff" * size)
    assert fields.base64url(bare, "auth", size) == bare
    assert fields.base64url(bare + "=" * (-len(bare) % 4), "auth", size) == bare
    assert fields.decoded(bare) == b"\xff" * size


@pytest.mark.parametrize("value", [7, "", "A" * 21, "A" * 23, "A" * 21 + "+", "A" * 21 + "/", "A" * 21 + "\n",
                                   "A" * 21 + "é", "A" * 22 + "====", " " + "A" * 21])  # fmt: skip
def test_anything_else_is_refused_by_its_name(value):
    with pytest.raises(BadRequest, match="auth: expected 16 bytes as URL-safe base64"):
        fields.base64url(value, "auth", 16)


def test_what_is_not_there_is_said_to_be_missing():
    with pytest.raises(BadRequest, match="auth: is missing; expected 16 bytes"):
        fields.base64url(None, "auth", 16)


def test_bits_beyond_the_last_byte_make_no_other_key():
    assert fields.base64url("A" * 21 + "B", "auth", 16) == "A" * 22


def test_what_cannot_be_decoded_is_a_value_error():
    with pytest.raises(ValueError, match="base64"):
        fields.decoded("A")
