"""What servers say when they want to end a connection, and all else that they say."""

import pytest
from hyperframe.frame import DataFrame, GoAwayFrame, HeadersFrame, SettingsFrame
from hypothesis import given
from hypothesis import strategies as st

from push.goaway import Farewells, GoAway, NoFrameError

_OTHERS = st.one_of(
    st.builds(lambda i, d: DataFrame(i * 2 + 1, data=d), st.integers(0, 99), st.binary(max_size=300)),
    st.builds(lambda i, d: HeadersFrame(i * 2 + 1, data=d), st.integers(0, 99), st.binary(max_size=300)),
    st.builds(lambda n: SettingsFrame(0, settings={4: n}), st.integers(1, 2**31 - 1)),
)
_FAREWELLS = st.builds(
    lambda last, error, said: GoAwayFrame(0, last, error, said.encode()),
    st.integers(0, 2**31 - 1),
    st.integers(0, 2**32 - 1),
    st.text(max_size=20),
)


@given(st.lists(st.one_of(_OTHERS, _FAREWELLS), max_size=12), st.data())
def test_in_whatever_pieces_it_comes_farewells_are_taken_out_and_nothing_else(frames, data):
    sent = b"".join(frame.serialize() for frame in frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=8)))
    farewells, passed, found = Farewells(), b"", []
    for begin, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
        frames_of_it, words = farewells.split(sent[begin:end])
        passed += frames_of_it
        found += words
    assert passed == b"".join(f.serialize() for f in frames if not isinstance(f, GoAwayFrame))
    assert found == [
        GoAway(f.last_stream_id, f.error_code, f.additional_data.decode())
        for f in frames
        if isinstance(f, GoAwayFrame)
    ]


def test_a_frame_is_passed_on_when_it_is_whole():
    farewells = Farewells()
    frame = DataFrame(1, data=b"x" * 20).serialize()
    assert farewells.split(frame[:5]) == (b"", [])
    assert farewells.split(frame[5:25]) == (b"", [])
    assert farewells.split(frame[25:] + frame[:9]) == (frame, [])


def test_what_is_no_frame_is_not_waited_for():
    with pytest.raises(NoFrameError, match="not HTTP/2"):
        Farewells().split(b"HTTP/1.1 200 OK\r\n\r\n")


def test_the_longest_frame_is_one():
    frame = DataFrame(1, data=b"x" * 2**14).serialize()
    assert Farewells().split(frame) == (frame, [])
    with pytest.raises(NoFrameError):
        Farewells().split(DataFrame(1, data=b"x" * (2**14 + 1)).serialize())


def test_a_farewell_that_is_too_short_is_left_to_others():
    short = b"\0\0\4\7\0" + b"\0\0\0\0" + b"\0\0\0\1"
    assert Farewells().split(short) == (short, [])


def test_the_reserved_bit_is_no_part_of_a_stream():
    word = b"\0\0\x08\7\0" + b"\0\0\0\0" + b"\x80\0\0\x05" + b"\0\0\0\0"
    assert Farewells().split(word) == (b"", [GoAway(5, 0, "")])
