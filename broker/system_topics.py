"""The `$SYS` topics that operators of MQTT brokers expect, with their usual names and meanings.

Published every few seconds where they have changed, and retained, so that who subscribes later knows them at
once. Who may subscribe is for the topic rules to say.
"""

import asyncio
import math
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from broker.census import Census
from broker.message import Message

if TYPE_CHECKING:
    from collections.abc import Mapping

    from broker.hub import Hub

ROOT: Final = "$SYS/broker/"
_WINDOWS: Final = {"1min": 60, "5min": 300, "15min": 900}


class _Load:
    """A rate a minute, averaged over windows in which what was long ago counts less and less."""

    __slots__ = ("_averages", "_before")

    def __init__(self, now: int) -> None:
        self._before = now
        self._averages = dict.fromkeys(_WINDOWS, 0.0)

    def step(self, count: int, seconds: float) -> "Mapping[str, float]":
        """`count` is the total so far. Returns the averages by window."""
        rate = (count - self._before) * 60 / seconds
        self._before = count
        for name, window in _WINDOWS.items():
            kept = math.exp(-seconds / window)
            self._averages[name] = kept * self._averages[name] + (1 - kept) * rate
        return self._averages


class SystemTopics:
    """Owned by the hub's tasks: `run` ends when it is cancelled."""

    def __init__(self, hub: "Hub") -> None:
        self._hub = hub
        self._began = hub.now()
        self._last = self._began
        self._said: dict[str, bytes] = {}
        self._most = 0
        self._loads = {name: _Load(count) for name, count in self._totals().items()}

    async def run(self) -> None:
        interval = self._hub.settings.sys_interval
        while True:
            self.publish()
            await asyncio.sleep(interval)

    def publish(self) -> None:
        """What has changed since the last time."""
        for name, value in self._values().items():
            payload = str(value).encode()
            if self._said.get(name) != payload:
                self._said[name] = payload
                message = Message(ROOT + name, payload, 0)
                self._hub.keep_retained(message)
                self._hub.route(message)

    def _values(self) -> dict[str, object]:
        hub = self._hub
        metrics, census, now = hub.metrics, Census.of(hub), hub.now()
        self._most = max(self._most, census.connected)
        totals = self._totals()
        values: dict[str, object] = {
            "version": f"pabal version {version('pabal')}",
            "uptime": f"{int(now - self._began)} seconds",
            "clients/connected": census.connected,
            "clients/disconnected": census.sessions - census.connected,
            "clients/active": census.connected,
            "clients/inactive": census.sessions - census.connected,
            "clients/total": census.sessions,
            "clients/maximum": self._most,
            "clients/expired": getattr(metrics, "sessions_expired", 0),
            "messages/inflight": census.inflight,
            "messages/stored": census.retained + census.queued,
            "store/messages/count": census.retained + census.queued,
            "publish/messages/dropped": metrics.dropped,
            "subscriptions/count": census.subscriptions,
            "retained messages/count": census.retained,
            **{name: count for name, count in totals.items() if name not in {"connections", "sockets"}},
        }
        seconds = now - self._last
        if seconds > 0:
            self._last = now
            for name, load in self._loads.items():
                for window, rate in load.step(totals[name], seconds).items():
                    # As everywhere: `publish/messages/received` is `load/publish/received`.
                    values[f"load/{name.replace('publish/messages', 'publish')}/{window}"] = f"{rate:.2f}"
        return values

    def _totals(self) -> dict[str, int]:
        metrics = self._hub.metrics
        return {
            "messages/received": metrics.packets_in,
            "messages/sent": metrics.packets_out,
            "publish/messages/received": metrics.publishes_in,
            "publish/messages/sent": metrics.publishes_out,
            "bytes/received": metrics.bytes_in,
            "bytes/sent": metrics.bytes_out,
            "connections": metrics.connects,
            "sockets": metrics.sockets,
        }
