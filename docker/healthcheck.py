"""Is the process in this container well? `python3 -IS healthcheck.py [URL]`; exits with 0 or 1.

Asked every few seconds in every container, so it imports next to nothing. Without a URL it asks `/readyz` where this
container's role answers health checks: PABAL_HEALTH, else PABAL_HTTP (HOST:PORT).
"""

import os
import socket
import sys

TIMEOUT_S = 4.0
ANYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "::1"}


def ask(host: str, port: int, path: str) -> bytes:
    """The status line. Raises: OSError."""
    with socket.create_connection((host, port), TIMEOUT_S) as link:
        link.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while b"\r\n" not in answer:
            more = link.recv(4096)
            if not more:
                break
            answer += more
    return answer.partition(b"\r\n")[0]


def main(arguments: list[str]) -> int:
    address = arguments[0] if arguments else os.environ.get("PABAL_HEALTH") or os.environ.get("PABAL_HTTP", "")
    address, slash, path = address.removeprefix("http://").partition("/")
    host, _, port = address.rpartition(":")
    try:
        status = ask(ANYWHERE.get(host, host).strip("[]"), int(port), slash + path if slash else "/readyz")
    except (OSError, ValueError) as error:
        print(f"{address}: {error}")
        return 1
    print(status.decode("latin-1"))
    return 0 if status.split(b" ")[1:2] == [b"200"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
