"""One person logging in again and again over HTTP, while the relay is busy."""

import json
import threading
import time
import urllib.request

from server import Server

_PASSWORD = "correct horse battery"


class Logins:
    def __init__(self, server: Server) -> None:
        self._base = server.http
        self._post("/v1/users", {"user": "login-bench", "password": _PASSWORD})
        self._stop = threading.Event()
        self.seconds: list[float] = []
        self._thread = threading.Thread(target=self._run)

    def _post(self, path: str, body: dict) -> None:
        request = urllib.request.Request(
            self._base + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            answer.read()

    def _run(self) -> None:
        while not self._stop.wait(0.05):
            began = time.perf_counter()
            self._post("/v1/sessions", {"user": "login-bench", "password": _PASSWORD, "device": "x"})
            self.seconds.append(time.perf_counter() - began)

    def __enter__(self) -> "Logins":
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()

    def summary(self) -> dict:
        ordered = sorted(self.seconds)
        return {
            "logins": len(ordered),
            "p50_ms": round(ordered[len(ordered) // 2] * 1000),
            "p95_ms": round(ordered[int(len(ordered) * 0.95)] * 1000),
            "max_ms": round(ordered[-1] * 1000),
        }
