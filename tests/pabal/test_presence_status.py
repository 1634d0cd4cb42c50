"""What a device may say of itself."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pabal import presence
from pabal.errors import BadRequest
from pabal.messages import MAX_NUMBER
from pabal.presence import Status, read_status


@pytest.mark.parametrize(
    ("payload", "status"),
    [
        (b'{"state":"online","n":1}', Status("online", 1)),
        (b'{"state":"away"}', Status("away")),
        (b'{"n":0,"state":"offline","more":[{}]}', Status("offline", 0)),
        (b'{"state":"online","n":%d}' % MAX_NUMBER, Status("online", MAX_NUMBER)),
        (b"", Status(None)),
    ],
)
def test_a_status_is_read(payload, status):
    assert read_status(payload) == status


@pytest.mark.parametrize(
    "payload",
    [
        b"{", b"online", b"[]", b"null", b"{}", b'{"state":null}', b'{"state":"busy"}', b'{"state":1}',
        b'{"state":"online","n":-1}', b'{"state":"online","n":1.5}', b'{"state":"online","n":true}',
        b'{"state":"online","n":"1"}', b'{"state":"online","n":%d}' % (MAX_NUMBER + 1),
        b'{"state":"online","n":%b}' % (b"9" * 400), b'{"state":"online","n":1e999}',
        b'{"state":"on\xff"}', b"\x00", b" " * (presence.MAX_STATUS_BYTES + 1),
        b'{"a":' + b"[" * 500, b'{"state":"online"}x',
    ],
)  # fmt: skip
def test_what_is_no_status_is_refused(payload):
    with pytest.raises(BadRequest):
        read_status(payload)


@given(st.binary(max_size=600))
def test_any_bytes_are_a_status_or_a_refusal(payload):
    with suppress(BadRequest):
        assert isinstance(read_status(payload), Status)


def test_the_payload_of_a_presence_topic_is_its_state():
    assert presence.payload_of("away") == b'{"state":"away"}'
    assert read_status(presence.payload_of("online")) == Status("online")
