"""Connections, and the devices at their other ends."""

import contextlib
import random
import signal
import socket
from collections.abc import Callable

from faultlab.device import DEATHS
from faultlab.lanes import Act, Lane, Stage, chosen
from faultlab.proxy import DOWN, UP, Proxy
from faultlab.troupe import Actor


class NetworkLane(Lane):
    """Connections, and the devices at their other ends."""

    def __init__(self, stage: Stage, seed: int, only: frozenset[str]) -> None:
        acts: dict[str, Act] = {
            "connections cut": self._cut,
            "connections torn within a packet": self._tear,
            "delay": self._delay,
            "nothing passes": lambda: self._hold(UP, DOWN),
            "one way cut, to the server": lambda: self._hold(UP),
            "one way cut, to the devices": lambda: self._hold(DOWN),
            "half-open, the server forgotten": lambda: self._half(DOWN),
            "half-open, the device forgotten": lambda: self._half(UP),
            "reconnect storm": self._storm,
            "slow readers": self._slow,
            "SIGSTOP of a device": self._freeze_device,
            "kill -9 of a device": self._kill_device,
            **{
                f"kill -9 of a device {point.replace('_', ' ')}": lambda point=point: self._kill_device_at(
                    point
                )
                for point in DEATHS
            },
        }
        super().__init__(stage, random.Random(f"network {seed}"), chosen(acts, only), pause_s=0.8)

    def _pause(self) -> None:
        self._stage.stop.wait(self._chance.uniform(0.3, self._stage.longest_s))

    def _share(self) -> float:
        return self._chance.choice([0.3, 0.6, 1.0])

    def _each_proxy(self, act: Callable[[Proxy], object]) -> None:
        for proxy in (self._stage.mqtt, self._stage.http):
            act(proxy)

    def _heal(self) -> None:
        self._each_proxy(Proxy.heal)

    def _cut(self) -> None:
        share = self._share()
        self._each_proxy(lambda proxy: proxy.cut(share))

    def _tear(self) -> None:
        share = self._share()
        self._each_proxy(lambda proxy: proxy.tear(share))

    def _delay(self) -> None:
        seconds = self._chance.uniform(0.02, 0.5)
        self._each_proxy(lambda proxy: proxy.delay(seconds))
        self._pause()
        self._heal()

    def _hold(self, *directions: str) -> None:
        share, also_new = self._share(), self._chance.random() < 0.5
        self._each_proxy(lambda proxy: proxy.hold(*directions, share=share, also_new=also_new))
        self._pause()
        if self._chance.random() < 0.5:
            self._each_proxy(Proxy.cut)
        self._heal()

    def _half(self, side: str) -> None:
        share = self._share()
        self._each_proxy(lambda proxy: proxy.half_open(side, share))
        self._pause()

    def _storm(self) -> None:
        for _ in range(4):
            self._each_proxy(Proxy.cut)
            connections = [socket.socket() for _ in range(30)]
            for number, connection in enumerate(connections):
                connection.settimeout(2)
                with contextlib.suppress(OSError):
                    connection.connect(("127.0.0.1", self._stage.mqtt.port))
                    if number % 2:
                        connection.sendall(_CONNECT_OF_A_STRANGER)
            self._stage.stop.wait(0.2)
            for connection in connections:
                connection.close()

    def _slow(self) -> None:
        self._each_proxy(lambda proxy: proxy.slow_down(0.6))
        self._pause()
        self._heal()

    def _device(self) -> Actor:
        return self._chance.choice(self._stage.troupe.actors)

    def _freeze_device(self) -> None:
        device = self._device()
        device.signal(signal.SIGSTOP)
        self._pause()
        device.signal(signal.SIGCONT)

    def _kill_device(self) -> None:
        device = self._device()
        device.kill()
        device.start()

    def _kill_device_at(self, point: str) -> None:
        receiving = [actor for actor in self._stage.troupe.actors if actor.role.receives]
        device = self._chance.choice(receiving)
        device.tell(f"die {point}")
        # With nothing to receive it does not die, and then not here.
        device.wait_dead(self._stage.longest_s)
        device.kill()
        device.start()


def _connect(client_id: bytes, user: bytes, password: bytes) -> bytes:
    """A CONNECT packet of MQTT 3.1.1."""
    fields = b"".join(len(part).to_bytes(2, "big") + part for part in (client_id, user, password))
    rest = b"\x00\x04MQTT\x04\xc2\x00\x3c" + fields
    return b"\x10" + bytes([len(rest)]) + rest


_CONNECT_OF_A_STRANGER = _connect(b"ann:phone", b"ann", b"a guess")
