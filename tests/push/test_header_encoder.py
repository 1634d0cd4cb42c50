"""What of the headers of a push goes out, and what of it is kept for the next one."""

from hpack import Decoder, NeverIndexedHeaderTuple
from hypothesis import given
from hypothesis import strategies as st

from push.header_encoder import HeaderEncoder


def _push(number):
    return [
        (b":method", b"POST"),
        (b":scheme", b"https"),
        (b":authority", b"push.example"),
        (b":path", b"/wpush/v2/%d" % number),
        (b"authorization", b"vapid t=abc,k=def"),
        (b"content-encoding", b"aes128gcm"),
        (b"content-type", b"application/octet-stream"),
        (b"ttl", b"86400"),
        (b"urgency", b"normal"),
        (b"topic", b"topic%d" % number),
        (b"content-length", b"%d" % number),
    ]


def test_what_is_encoded_is_decoded_and_what_stays_the_same_goes_out_once():
    encoder, decoder = HeaderEncoder(), Decoder()
    sizes = []
    for number in range(100, 400):
        block = encoder.encode(_push(number))
        assert [tuple(pair) for pair in decoder.decode(block, raw=True)] == _push(number)
        sizes.append(len(block))
    # Only what is kept out of the table comes in full, however many there were before.
    told = sum(len(value) for name, value in _push(100) if name in {b":path", b"authorization", b"topic"})
    assert sizes[0] > sizes[1]
    assert len(set(sizes[1:])) == 1
    assert sizes[1] < told + 40


def test_tokens_and_what_differs_are_kept_out_of_every_table():
    headers = Decoder().decode(HeaderEncoder().encode(_push(1)), raw=True)
    never = {name for name, _value in (one for one in headers if isinstance(one, NeverIndexedHeaderTuple))}
    assert never == {b":path", b"authorization", b"topic", b"content-length"}


@given(
    st.lists(
        st.lists(st.sampled_from([0, 0, 50, 100, 4096, 4096, 65536, 2**32 - 1]), max_size=4), max_size=12
    )
)
def test_however_often_a_server_changes_the_size_of_its_table_both_sides_have_the_same(changes):
    encoder, decoder = HeaderEncoder(), Decoder()
    for number, sizes in enumerate(changes):
        for size in sizes:
            encoder.header_table_size = size
        if sizes:
            # Strict about what comes, as of now.
            decoder.max_allowed_table_size = sizes[-1]
        for again in range(2):
            headers = [*_push(number), (b"x-%d" % (number % 5), b"y" * 20)][again:]
            assert [tuple(pair) for pair in decoder.decode(encoder.encode(headers), raw=True)] == headers


def test_the_table_does_not_grow_at_the_word_of_a_server():
    encoder = HeaderEncoder()
    encoder.header_table_size = 2**32 - 1
    encoder.encode([(b"x", b"%04d" % number) for number in range(1000)])
    assert len(encoder.header_table.dynamic_entries) < 4096 // 32


def test_nothing_is_coded_by_huffman():
    assert b"vapid t=abc,k=def" in HeaderEncoder().encode(_push(1))
