"""What of the headers of a push goes out, and what of it is kept for the next one."""

from hpack import Decoder, NeverIndexedHeaderTuple

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


def test_nothing_is_coded_by_huffman():
    assert b"vapid t=abc,k=def" in HeaderEncoder().encode(_push(1))
