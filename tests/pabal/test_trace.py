import pytest

from pabal.trace import Trace, parse

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("text", "sampled"),
    [
        (f"00-{TRACE}-{PARENT}-01", True),
        (f"00-{TRACE}-{PARENT}-00", False),
        (f"00-{TRACE}-{PARENT}-03", True),
        (f"cc-{TRACE}-{PARENT}-01-what-comes-later", True),
        (f"cc-{TRACE}-{PARENT}-00", False),
    ],
)
def test_a_context_is_read(text, sampled):
    assert parse(text) == Trace(TRACE, PARENT, sampled)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "traceparent",
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE}-{PARENT}-01\n",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE[1:]}-{PARENT}-01",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"\u0660\u0660-{TRACE}-{PARENT}-01",
    ],
)
def test_what_is_none_is_passed_over(text):
    assert parse(text) is None


@pytest.mark.parametrize("sampled", [True, False])
def test_what_is_written_is_read_as_the_same(sampled):
    trace = Trace(TRACE, PARENT, sampled)
    assert parse(str(trace)) == trace
