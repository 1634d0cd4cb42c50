import pytest

from webapi.request_reader import MAX_HEAD, MAX_LINE, Refusal, RequestReader, Stage, Whole

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


def post(body, *more, length=None):
    lines = [b"POST / HTTP/1.1", b"Host: x", *more, b"Content-Length: %d" % (length or len(body)), b"", b""]
    return b"\r\n".join(lines) + body


def read(data, max_body=100):
    """All that comes of these bytes, at once and byte by byte, which must be the same."""
    together, single = RequestReader(max_body), RequestReader(max_body)
    together.feed(data)
    found, trickled = [], []
    while (one := together.take()) is not None:
        found.append(one)
        if isinstance(one, Refusal) or one.closes:
            break
    for byte in data:
        single.feed(bytes([byte]))
        if (one := single.take()) is not None:
            trickled.append(one)
            if isinstance(one, Refusal) or one.closes:
                break
    assert found == trickled
    return found


@pytest.mark.parametrize("data", [GET, post(b"abc"), post(b"x" * 100), b"GET / HTTP/1.0\r\n\r\n"])
def test_a_request_is_passed_on_as_it_came_and_not_before_it_is_whole(data):
    assert read(data[:-1]) == []
    assert read(data) == [Whole(data)]


def test_requests_behind_each_other_are_passed_on_one_by_one():
    assert read(GET + post(b"abc") + GET) == [Whole(GET), Whole(post(b"abc")), Whole(GET)]


def test_empty_lines_before_a_request_are_no_part_of_it():
    assert read(b"\r\n\r\n" + GET) == [Whole(GET)]


def test_a_body_in_chunks_is_put_together():
    chunks = b"3\r\nabc\r\n0a; name=value\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n"
    whole = Whole(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 13\r\n\r\nabc0123456789")
    assert read(CHUNKED + chunks) == [whole]
    assert read(CHUNKED + chunks + GET) == [whole, Whole(GET)]
    assert read(CHUNKED + chunks[:-1]) == []


def test_a_longer_body_is_not_waited_for_whether_it_comes_in_chunks_or_not():
    assert read(post(b"", length=101)) == [Whole(post(b"", length=101), closes=True)]
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
    assert read(CHUNKED + b"65\r\n") == [Whole(head % 101, closes=True)]
    assert read(CHUNKED + b"64\r\n" + b"x" * 100 + b"\r\n1\r\n") == [Whole(head % 101, closes=True)]
    assert read(CHUNKED + b"ffffffffffffffff\r\n") == [Whole(head % (2**64 - 1), closes=True)]


@pytest.mark.parametrize("more", ["fits", "does not"])
def test_a_chunked_body_at_the_bound_fits(more):
    data = CHUNKED + b"64\r\n" + b"x" * 100 + (b"\r\n0\r\n\r\n" if more == "fits" else b"\r\n2\r\n")
    assert [one.closes for one in read(data)] == [more != "fits"]


@pytest.mark.parametrize(
    "chunks",
    [
        *(b"zz\r\n", b"\r\n", b"-1\r\n", b"0x1\r\n", b" 1\r\n", b"0" * 17 + b"\r\n"),
        *(b"1\r\nab\r\n", b"1\r\naXX"),
        *(b"1;" + b"x" * 1100, b"1\r\na\r\n" * 13_200),
    ],
)
def test_what_are_no_chunks_is_a_bad_request(chunks):
    (refused,) = read(CHUNKED + chunks, max_body=1_000_000)
    assert refused.status == 400


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"GET / HTTP/1.1\nHost: x\n\n", 400),
        (b"x" * (MAX_LINE + 1), 414),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * (MAX_HEAD // 6), 431),
    ],
)
def test_a_head_that_leaves_it_open_where_the_request_ends_is_refused(head, status):
    (refused,) = read(head)
    assert refused.status == status


def test_who_waits_for_100_continue_is_told_once_and_the_application_does_not_see_it():
    reader = RequestReader(100)
    reader.feed(post(b"", b"Expect: 100-Continue", length=3))
    assert reader.take() is None
    assert [reader.take_continue(), reader.take_continue()] == [True, False]
    reader.feed(b"abc")
    assert reader.take() == Whole(post(b"abc"))


def test_nobody_waits_for_100_continue_without_saying_so_or_in_http_1_0():
    for data in (post(b"", length=3), post(b"", b"Expect: 100-continue", length=3).replace(b"/1.1", b"/1.0")):
        reader = RequestReader(100)
        reader.feed(data)
        assert reader.take() is None
        assert not reader.take_continue()


def test_the_stage_tells_how_far_the_request_has_come():
    reader = RequestReader(100)
    data = post(b"abc")
    seen = []
    for part in (b"", data[:1], data[1:-2], data[-2:]):
        reader.feed(part)
        reader.take()
        seen.append(reader.stage)
    assert seen == [Stage.IDLE, Stage.HEAD, Stage.BODY, Stage.IDLE]
