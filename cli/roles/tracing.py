"""Following requests, as the settings have it."""

import contextlib

from bridge.tracing import LogRecorder, Recorder, Tracing
from cli import otel
from cli.settings import Settings


def check(settings: Settings) -> None:
    """Raises: SettingsError if there is a collector to send to, and nothing to do it with."""
    if settings.otel_endpoint is not None:
        otel.check_installed()


def make_tracing(settings: Settings, service: str, stack: contextlib.ExitStack) -> Tracing:
    """For one process, to be called in it. `stack` sends what is left at the end."""
    recorders: list[Recorder] = [LogRecorder()]
    if settings.otel_endpoint is not None:
        exporter = otel.OtelRecorder(settings.otel_endpoint, service)
        stack.callback(exporter.close)
        recorders.append(exporter)
    return Tracing(recorders, every=settings.trace_every, per_second=settings.trace_rate)
