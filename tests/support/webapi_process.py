"""The web server of `serve_webapi` as a process, and a client of it."""

import http.client
import json
import subprocess
import sys
import time
from pathlib import Path

import serve_webapi

TIMEOUT_S = 90


def until(condition):
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def start(folder, bind, *more, **options):
    return subprocess.Popen(
        [sys.executable, serve_webapi.__file__, str(folder), bind, *more],
        cwd=Path(serve_webapi.__file__).parent,
        **options,
    )


def call(port, method, path, body=None, token=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        headers = {"Content-Type": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()
