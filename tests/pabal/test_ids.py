import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pabal import ids
from pabal.errors import BadRequest

users = st.from_regex(r"[a-z0-9][a-z0-9_-]{1,31}", fullmatch=True).map(ids.UserId)
devices = st.from_regex(r"[A-Za-z0-9_-]{1,32}", fullmatch=True).map(ids.DeviceId)

GOOD_USERS = ["al", "0a", "a_-", "alice", "a" * 32, "9" * 32, "svc", "admin"]
BAD_USERS = [
    "",
    "a",
    "a" * 33,
    "Alice",
    "_al",
    "-al",
    "al ",
    " al",
    "al\n",
    "al\0",
    "a~b",
    "a:b",
    "a/b",
    "a+",
    "#a",
]
BAD_USERS += ["알리스", "al\u0131ce", "\u0663a", None, 5, b"alice", ["alice"], {"alice": 1}]

GOOD_DEVICES = ["a", "Z", "_", "-", "phone-2", "A" * 32]
BAD_DEVICES = ["", "a" * 33, "a b", "a\n", "a/b", "a:b", "a~b", "+", "#", "폰", None, 1, b"phone"]

GOOD_CONVS = ["alice~bob", "alice~alice", "0a~zz", "a-~a_", "g" + "a" * 12, "gabcdefgh2345", "g234567234567"]
BAD_CONVS = [
    "",
    "~",
    "alice",
    "alice~",
    "~alice",
    "bob~alice",
    "alice~bob~carol",
    "alice~Bob",
    "a~bob",
    "alice~bob\n",
]
BAD_CONVS += [
    "g" + "a" * 11,
    "g" + "a" * 13,
    "gabcdefgh2341",
    "gabcdefgh2348",
    "Gaaaaaaaaaaaa",
    "g" + "A" * 12,
]
BAD_CONVS += ["haaaaaaaaaaaa", "g" + "a" * 12 + "\n", "alice bob", "@bob", None, 7, b"alice~bob"]


@pytest.mark.parametrize("name", GOOD_USERS)
def test_a_user_name_is_taken_as_it_is(name):
    assert ids.parse_user(name) == name


@pytest.mark.parametrize("name", BAD_USERS)
def test_what_is_no_user_name_is_refused_and_the_field_blamed(name):
    with pytest.raises(BadRequest) as refused:
        ids.parse_user(name, field="to")
    assert refused.value.field == "to"
    assert refused.value.detail.startswith("to: ")


@pytest.mark.parametrize("name", ["admin", "system", "pabal", "root", "svc", "all", "here", "everyone", "me"])
def test_a_reserved_name_exists_but_is_not_given_to_anybody(name):
    assert ids.parse_user(name) == name
    with pytest.raises(BadRequest, match="reserved") as refused:
        ids.parse_new_user(name, field="name")
    assert refused.value.field == "name"


@pytest.mark.parametrize("name", ["admin2", "my-system", "pabal_", "roots"])
def test_a_name_that_only_resembles_a_reserved_one_is_given(name):
    assert ids.parse_new_user(name) == name


def test_every_reserved_word_is_a_name_that_could_be_asked_for():
    assert {"admin", "system", "pabal"} <= ids.RESERVED
    assert all(ids.parse_user(word) == word for word in ids.RESERVED)


def test_a_new_name_obeys_the_rules_of_all_names():
    with pytest.raises(BadRequest, match="2 to 32"):
        ids.parse_new_user("Alice")


@pytest.mark.parametrize("name", GOOD_DEVICES)
def test_a_device_name_is_taken_as_it_is(name):
    assert ids.parse_device(name) == name


@pytest.mark.parametrize("name", BAD_DEVICES)
def test_what_is_no_device_name_is_refused_and_the_field_blamed(name):
    with pytest.raises(BadRequest) as refused:
        ids.parse_device(name)
    assert refused.value.field == "device"


@pytest.mark.parametrize("conv", GOOD_CONVS)
def test_a_conversation_id_is_taken_as_it_is(conv):
    assert ids.parse_conv(conv) == conv


@pytest.mark.parametrize("conv", BAD_CONVS)
def test_what_is_no_conversation_id_is_refused_and_the_field_blamed(conv):
    with pytest.raises(BadRequest) as refused:
        ids.parse_conv(conv)
    assert refused.value.field == "conv"


@given(users, users)
def test_a_direct_conversation_is_the_same_whoever_asks(one, other):
    conv = ids.direct(one, other)
    assert conv == ids.direct(other, one)
    assert ids.parse_conv(conv) == conv
    assert conv.encode() == b"~".join(sorted([one.encode(), other.encode()]))
    assert ids.is_direct(conv)
    assert set(ids.members_of(conv)) == {one, other}
    assert list(ids.members_of(conv)) == sorted({one, other})


@given(users, users)
def test_of_the_two_ways_to_join_two_users_only_the_sorted_one_is_an_id(one, other):
    first, second = sorted([one, other])
    assert ids.parse_conv(f"{first}~{second}") == f"{first}~{second}"
    if one != other:
        with pytest.raises(BadRequest):
            ids.parse_conv(f"{second}~{first}")


@given(st.binary(min_size=8, max_size=8))
def test_a_group_id_is_g_and_twelve_base_32_characters(random):
    conv = ids.group(random)
    assert re.fullmatch("g[a-z2-7]{12}", conv)
    assert ids.parse_conv(conv) == conv
    assert not ids.is_direct(conv)
    assert ids.members_of(conv) == ()


@given(st.integers(0, 2**60 - 1), st.integers(0, 15), st.integers(0, 2**60 - 1))
def test_sixty_of_the_random_bits_make_the_group_id_and_none_of_them_is_lost(bits, unused, other):
    conv = ids.group((unused << 60 | bits).to_bytes(8, "big"))
    assert conv == ids.group(bits.to_bytes(8, "big"))
    assert (conv == ids.group(other.to_bytes(8, "big"))) == (bits == other)


def test_every_bit_of_the_sixty_changes_the_group_id():
    made = {ids.group((1 << place).to_bytes(8, "big")) for place in range(60)}
    assert len(made) == 60


@given(users, devices, st.none() | devices)
def test_a_client_id_survives_being_written_and_read(user, device, suffix):
    client_id = ids.ClientId(user, device, suffix)
    assert ids.parse_client_id(str(client_id)) == client_id


def test_a_client_id_names_user_device_and_perhaps_a_second_connection():
    assert str(ids.parse_client_id("alice:Phone")) == "alice:Phone"
    assert ids.parse_client_id("alice:Phone:pub") == ids.ClientId(
        ids.UserId("alice"), ids.DeviceId("Phone"), "pub"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "alice",
        "alice:",
        ":phone",
        "alice:phone:",
        "alice:phone:a:b",
        "Alice:phone",
        "alice:ph one",
        "alice:phone:x y",
        "alice:phone:" + "x" * 33,
        "alice:phone\n",
        "alice/phone",
        None,
        3,
        b"alice:phone",
    ],
)
def test_what_is_no_client_id_is_refused(text):
    with pytest.raises(BadRequest) as refused:
        ids.parse_client_id(text)
    assert refused.value.field == "client_id"
