"""What comes off the socket is shared between paho and our codec, packet by packet."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.external.pipe import Pipe
from broker.mqtt.codec import PUBACK, ack, encode
from broker.mqtt.packets import Pingresp, Publish, Suback


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    yield Pipe(ours), theirs
    ours.close()
    theirs.close()


def read_all(pipe: Pipe) -> bytes:
    found = b""
    while pipe.pending():
        found += pipe.recv(1)
    return found


packets = st.lists(
    st.one_of(
        st.integers(0, 300).map(lambda size: encode(Publish("a/b", b"x" * size, 1, packet_id=7))),
        st.integers(1, 65_535).map(lambda number: ack(PUBACK, number)),
        st.just(encode(Pingresp())),
        st.integers(1, 200).map(lambda count: encode(Suback(3, bytes(count)))),
    ),
    max_size=12,
)


@given(packets, st.lists(st.integers(1, 400), max_size=20))
def test_however_it_is_cut_each_packet_gets_to_who_reads_it_in_order(sent, cuts):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        pipe = Pipe(ours)
        data, to_us, to_paho = b"".join(sent), b"", b""
        for size in [*cuts, len(data)]:
            theirs.sendall(data[:size])
            data = data[size:]
            to_us += pipe.fill()
            to_paho += read_all(pipe)
    is_ours = [packet[0] & 0xF0 in {0x30, 0x40} for packet in sent]
    assert to_us == b"".join(packet for packet, mine in zip(sent, is_ours, strict=True) if mine)
    assert to_paho == b"".join(packet for packet, mine in zip(sent, is_ours, strict=True) if not mine)


def test_paho_is_told_to_wait_while_there_is_nothing_for_it(ends):
    pipe, theirs = ends
    with pytest.raises(BlockingIOError):
        pipe.recv(1)
    theirs.sendall(ack(PUBACK, 1))
    assert pipe.fill() == ack(PUBACK, 1)
    with pytest.raises(BlockingIOError):
        pipe.recv(1)


def test_a_length_that_cannot_be_is_handed_on_and_not_waited_for(ends):
    pipe, theirs = ends
    theirs.sendall(b"\x30\xff\xff\xff\xff\x01")
    assert pipe.fill() == b"\x30\xff\xff\xff\xff"


def test_the_end_of_the_other_side_is_seen(ends):
    pipe, theirs = ends
    theirs.sendall(encode(Pingresp()))
    theirs.close()
    while not pipe.ended:
        pipe.fill()
    assert read_all(pipe) == encode(Pingresp())


def test_what_the_other_side_does_not_read_waits_and_goes_later(ends):
    pipe, theirs = ends
    data = bytes(range(256)) * 8192
    pipe.send(data)
    assert pipe.waiting == len(data)
    assert not pipe.flush()
    assert 0 < pipe.waiting < len(data)
    theirs.settimeout(60)
    found = b""
    while len(found) < len(data):
        found += theirs.recv(1 << 20)
        pipe.flush()
    assert found == data
    assert pipe.waiting == 0


def test_what_can_go_at_once_goes_before_it_is_closed(ends):
    pipe, theirs = ends
    pipe.send(b"\xe0\x00")
    pipe.close()
    assert theirs.recv(10) == b"\xe0\x00"
