"""Is the process in this container well? `python3 -IS healthcheck.py [HOST:PORT/PATH]`; exits with 0 or 1.

Asked every few seconds in every container, so it imports next to nothing. Without an address it asks `/readyz` where
metrics are listened on (PABAL_METRICS). A role that stands by is well too: it is ready when its turn comes.
"""

import os
import socket
import sys

TIMEOUT_S = 4.0
USUAL = "127.0.0.1:9108"
STANDBY = b'"standby"'
# What is listened on everywhere is asked for here.
HERE = {"0.0.0.0": "127.0.0.1", "[::]": "::1"}  # noqa: S104 -- looked for


def ask(host: str, port: int, path: str) -> bytes:
    """The whole answer. Raises: OSError."""
    with socket.create_connection((host, port), TIMEOUT_S) as link:
        link.sendall(f"GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while more := link.recv(4096):
            answer += more
        return answer


def main(arguments: list[str]) -> int:
    address = arguments[0] if arguments else os.environ.get("PABAL_METRICS", USUAL) + "/readyz"
    place, _, path = address.partition("/")
    host, _, port = place.rpartition(":")
    try:
        answer = ask(HERE.get(host, host).strip("[]"), int(port), f"/{path}")
    except (OSError, ValueError) as error:
        print(f"{address}: {error}")
        return 1
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head.partition(b"\r\n")[0]
    print(status.decode("latin-1"), body.decode("utf-8", "replace").strip())
    return 0 if status.split(b" ")[1:2] == [b"200"] or STANDBY in body else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
