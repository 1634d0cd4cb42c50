"""The log in JSON: what is said beside the words, and whose request it was about."""

import io
import json
import logging

from bridge.tracing import saying
from cli import logs
from pabal.trace import Trace

TRACE = Trace("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")


def test_every_line_about_a_followed_request_has_its_trace(monkeypatch):
    stderr = io.StringIO()
    monkeypatch.setattr("sys.stderr", stderr)
    logs.configure("info", "json")
    logger = logging.getLogger("pabal.trace")
    with saying(TRACE):
        logger.info("request", extra={"op": "send", "took_ms": 2.5})
    logger.info("after it")
    first, second = map(json.loads, stderr.getvalue().splitlines())
    assert first["trace_id"] == TRACE.trace_id
    assert (first["event"], first["op"], first["took_ms"]) == ("request", "send", 2.5)
    assert "trace_id" not in second
