"""A group, and what is said in it."""

from pabal import topics

CONV = "gaaaaaaaaaaaa"
ROOM = topics.room(CONV)


def bob_says(bench, text="hi", conv=CONV):
    """bob writes to the group. Returns what the server publishes for it, for the test to deliver."""
    _, out = bench.server.commit("bob", "pc", {"conv": conv, "text": text})
    return out
