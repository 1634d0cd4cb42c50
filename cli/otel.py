"""Steps of followed requests for OpenTelemetry: sent over OTLP/HTTP to a collector. Its packages are optional."""

import logging
from importlib.util import find_spec
from typing import Final

from bridge.tracing import Span
from cli.errors import SettingsError

_PATH: Final = "/v1/traces"
# Beyond the queue steps are dropped; a collector that hangs holds up the end of the process no longer than this.
_QUEUE: Final = 2_048
_PAUSE_MS: Final = 1_000
_TIMEOUT_S: Final = 3.0
_STOP_MS: Final = 5_000


def check_installed() -> None:
    """Raises: SettingsError if the packages are not there."""
    try:
        found = find_spec("opentelemetry.exporter.otlp.proto.http") and find_spec("opentelemetry.sdk")
    except ModuleNotFoundError:
        found = None
    if not found:
        raise SettingsError(
            "otel_endpoint wants the packages of OpenTelemetry, which are not installed; "
            "expected them: pip install 'pabal[otel]'"
        )


class OtelRecorder:
    """Owner of a queue and the thread that sends it. To be made in the process that records."""

    def __init__(self, endpoint: str, service: str) -> None:
        """`endpoint` is the collector's URL; its path for traces is added where there is none. `service` is what this
        process is called there.

        Raises: SettingsError if the packages are not there.
        """
        check_installed()
        # Optional, and slow to import.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 -- see above
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 -- see above
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 -- see above

        scheme, _, rest = endpoint.partition("://")
        url = endpoint if rest.strip("/").count("/") else f"{scheme}://{rest.strip('/')}{_PATH}"
        # A collector that is away is told by its own metrics, and not in our log with every batch.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._resource: Resource = Resource.create({"service.name": service})
        self._processor: BatchSpanProcessor = BatchSpanProcessor(
            OTLPSpanExporter(endpoint=url, timeout=_TIMEOUT_S),
            max_queue_size=_QUEUE,
            schedule_delay_millis=_PAUSE_MS,
        )

    def record(self, span: Span) -> None:
        from opentelemetry.sdk.trace import ReadableSpan  # noqa: PLC0415 -- as in __init__
        from opentelemetry.trace import SpanContext, SpanKind, TraceFlags  # noqa: PLC0415 -- likewise
        from opentelemetry.trace.status import Status, StatusCode  # noqa: PLC0415 -- likewise

        def context(span_id: str, *, is_remote: bool) -> SpanContext:
            flags = TraceFlags(TraceFlags.SAMPLED)
            return SpanContext(int(span.trace_id, 16), int(span_id, 16), is_remote, flags)

        parent = span.parent_id
        self._processor.on_end(
            ReadableSpan(
                name=span.name,
                context=context(span.span_id, is_remote=False),
                parent=None if parent is None else context(parent, is_remote=True),
                resource=self._resource,
                attributes={f"pabal.{name}": value for name, value in span.about.items()},
                kind=SpanKind.SERVER if span.name in {"http", "request"} else SpanKind.INTERNAL,
                status=Status(StatusCode.OK) if span.error is None else Status(StatusCode.ERROR, span.error),
                start_time=span.began_ns,
                end_time=span.ended_ns,
            )
        )

    def close(self) -> None:
        """Sends what is left, within a bound."""
        self._processor.force_flush(_STOP_MS)
        self._processor.shutdown()  # type: ignore[no-untyped-call]
