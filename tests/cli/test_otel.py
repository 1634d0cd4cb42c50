"""Steps over OTLP/HTTP, taken by a stand-in for a collector."""

import http.server
import threading

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from people import wait_for

from bridge.tracing import Span
from cli import otel
from cli.configuration import load
from cli.errors import SettingsError
from cli.otel import OtelRecorder
from cli.roles.tracing import check

TRACE, SPAN, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", "00f067aa0ba902b8"


@pytest.fixture
def collector():
    """Its URL, and what has come in: `(path, request)`."""
    came = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            content = self.rfile.read(int(self.headers["Content-Length"]))
            came.append((self.path, ExportTraceServiceRequest.FromString(content)))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", came
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("path", ["", "/", "/v1/traces"])
def test_a_step_arrives_as_it_was(collector, path):
    url, came = collector
    recorder = OtelRecorder(url + path, "pabal-broker")
    recorder.record(Span("request", TRACE, SPAN, PARENT, 1_000, 2_000, {"op": "send", "message_id": 7}))
    recorder.record(Span("commit", TRACE, PARENT, None, 1_000, 1_500, error="unavailable"))
    recorder.close()
    wait_for(lambda: came)
    assert came[0][0] == "/v1/traces"
    (of_resource,) = came[0][1].resource_spans
    names = {one.key: one.value.string_value for one in of_resource.resource.attributes}
    assert names["service.name"] == "pabal-broker"
    request, commit = of_resource.scope_spans[0].spans
    assert (request.name, request.trace_id.hex(), request.span_id.hex()) == ("request", TRACE, SPAN)
    assert (request.parent_span_id.hex(), commit.parent_span_id.hex()) == (PARENT, "")
    assert (request.start_time_unix_nano, request.end_time_unix_nano) == (1_000, 2_000)
    about = {one.key: one.value.string_value or one.value.int_value for one in request.attributes}
    assert about == {"pabal.op": "send", "pabal.message_id": 7}
    assert (request.status.code, commit.status.code, commit.status.message) == (1, 2, "unavailable")


def test_a_collector_that_is_away_costs_nothing_and_fills_no_log(caplog):
    recorder = OtelRecorder("http://127.0.0.1:1", "pabal")
    for _ in range(3_000):
        recorder.record(Span("request", TRACE, SPAN, PARENT, 1, 2))
    recorder.close()
    assert not caplog.records


def test_without_the_packages_it_is_one_line(monkeypatch):
    monkeypatch.setattr(otel, "find_spec", lambda _name: None)
    check(load({}).settings)
    with pytest.raises(SettingsError) as refused:
        check(load({"otel_endpoint": "http://collector:4318"}).settings)
    assert "pip install 'pabal[otel]'" in refused.value.cause


@pytest.mark.parametrize("wrong", ["collector:4318", "grpc://collector:4317", "http://", "http://a b"])
def test_an_endpoint_that_is_none_is_refused(wrong):
    with pytest.raises(SettingsError, match=r"otel_endpoint = .* is not right; expected http://HOST:PORT"):
        load({"otel_endpoint": wrong})
