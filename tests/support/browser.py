"""A real Firefox without a screen, on a page that subscribes to pushes and tells what its service worker was sent."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

FIREFOX = shutil.which("firefox-esr")
NEEDED = "needs Debian's firefox-esr (apt-get install firefox-esr)"

# A browser that has just started loses a subscription that is asked for too early, without a word: the page begins anew.
PAGE = """<!doctype html><meta charset="utf-8"><title>pushes</title><script>
const again = setTimeout(() => location.reload(), 3000);
const tell = (path, what) => fetch(path, {method: "POST", body: JSON.stringify(what)});
(async () => {
  try {
    await navigator.serviceWorker.register("/worker.js");
    const registration = await navigator.serviceWorker.ready;
    const subscription = await registration.pushManager.subscribe(
      {userVisibleOnly: true, applicationServerKey: "VAPID_KEY"});
    clearTimeout(again);
    await tell("/subscribed", subscription.toJSON());
  } catch (error) { await tell("/failed", String(error)); }
})();
</script>"""
WORKER = """
self.addEventListener("push", event => event.waitUntil(
  fetch("/pushed", {method: "POST", body: event.data ? event.data.text() : ""})));
"""
PREFERENCES: dict[str, Any] = {
    "dom.push.connection.enabled": True,
    "dom.push.testing.allowInsecureServerURL": True,
    "dom.push.testing.ignorePermission": True,
    "permissions.default.desktop-notification": 1,
    "browser.shell.checkDefaultBrowser": False,
    "browser.aboutwelcome.enabled": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.reportingpolicy.firstRun": False,
    "app.normandy.enabled": False,
    "services.settings.server": "http://127.0.0.1:9/",
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    # Whatever it may want of the Internet, it finds nobody there.
    "network.proxy.type": 1,
    "network.proxy.http": "127.0.0.1",
    "network.proxy.http_port": 9,
    "network.proxy.ssl": "127.0.0.1",
    "network.proxy.ssl_port": 9,
    "network.proxy.no_proxies_on": "localhost, 127.0.0.1",
}


class Page(ThreadingHTTPServer):
    """Serves the page, and keeps what is told to it by path."""

    daemon_threads = True

    def __init__(self, vapid_key: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = {
            "/": ("text/html", PAGE.replace("VAPID_KEY", vapid_key)),
            "/worker.js": ("text/javascript", WORKER),
        }
        self._told: list[tuple[str, Any]] = []
        self._came = threading.Condition()

    @property
    def url(self) -> str:
        return f"http://localhost:{self.server_address[1]}/"

    def tell(self, path: str, what: Any) -> None:
        with self._came:
            self._told.append((path, what))
            self._came.notify_all()

    def told(self, path: str, timeout_s: float) -> Any:
        """The first thing that was told there. Fails the test if there is none in time, or if the page failed."""

        def ended() -> bool:
            return any(where in {path, "/failed"} for where, _ in self._told)

        with self._came:
            assert self._came.wait_for(ended, timeout_s), (
                f"nothing at {path} within {timeout_s} s: {self._told}"
            )
            where, what = next(one for one in self._told if one[0] in {path, "/failed"})
        assert where == path, f"the page failed: {what}"
        return what


class _Handler(BaseHTTPRequestHandler):
    server: Page

    def do_GET(self) -> None:
        kind, text = self.server.files.get(self.path, ("text/plain", ""))
        self._answer(200 if text else 404, kind, text.encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.tell(self.path, json.loads(body))
        self._answer(200, "text/plain", b"")

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@contextlib.contextmanager
def page(vapid_key: str) -> Iterator[Page]:
    with Page(vapid_key) as served:
        thread = threading.Thread(target=served.serve_forever, daemon=True)
        thread.start()
        try:
            yield served
        finally:
            served.shutdown()
            thread.join()


@contextlib.contextmanager
def firefox(folder: Path, url: str, push_server: str) -> Iterator[None]:
    """A browser of its own on this page, ended with all of its processes."""
    assert FIREFOX is not None, NEEDED
    profile = folder / "profile"
    profile.mkdir()
    preferences = PREFERENCES | {"dom.push.serverURL": push_server}
    (profile / "user.js").write_text(
        "".join(
            f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in preferences.items()
        )
    )
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "MOZ_HEADLESS": "1",
        "MOZ_CRASHREPORTER_DISABLE": "1",
    }
    with (folder / "firefox.log").open("wb") as log:
        process = subprocess.Popen(
            [FIREFOX, "--headless", "--no-remote", "--profile", str(profile), url],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True,
        )  # fmt: skip
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
