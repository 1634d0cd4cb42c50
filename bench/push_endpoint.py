"""A push endpoint for measuring: `python bench/push_endpoint.py FOLDER [OUTAGE_S]`, HTTP/2 over TLS, as cheap as can be.

Prints its URL, writes its CA into FOLDER, and takes every push with 201. For OUTAGE_S seconds after the first push it
answers 503 instead. A line on standard input is answered with a line of JSON: how many were taken, how many paths
that is, and how often one of them was taken again.
"""

import asyncio
import json
import ssl
import sys
import time
from collections import Counter
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import trustme
import uvloop

WINDOW = 2**30


class Endpoint:
    def __init__(self, outage_s: float) -> None:
        self.outage_s = outage_s
        self.began: float | None = None
        self.taken: Counter[bytes] = Counter()

    def answer(self, path: bytes) -> int:
        now = time.monotonic()
        self.began = self.began or now
        if now - self.began < self.outage_s:
            return 503
        self.taken[path] += 1
        return 201

    def told(self) -> str:
        sent = self.taken.total()
        return json.dumps({"sent": sent, "paths": len(self.taken), "twice": sent - len(self.taken)})


class Connection(asyncio.Protocol):
    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.http = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding=None)
        )
        self.paths: dict[int, bytes] = {}

    def connection_made(self, transport) -> None:
        self.transport = transport
        self.http.initiate_connection()
        self.http.increment_flow_control_window(WINDOW)
        transport.write(self.http.data_to_send())

    def data_received(self, data: bytes) -> None:
        for event in self.http.receive_data(data):
            match event:
                case h2.events.RequestReceived():
                    self.paths[event.stream_id] = dict(event.headers)[b":path"]
                case h2.events.DataReceived():
                    self.http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                case h2.events.StreamEnded():
                    status = self.endpoint.answer(self.paths.pop(event.stream_id))
                    self.http.send_headers(event.stream_id, [(":status", str(status))], end_stream=True)
        out = self.http.data_to_send()
        if out:
            self.transport.write(out)


async def serve(folder: Path, outage_s: float) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "push-ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    context.set_alpn_protocols(["h2"])
    endpoint = Endpoint(outage_s)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(endpoint), "127.0.0.1", 0, ssl=context)
    print(f"https://localhost:{server.sockets[0].getsockname()[1]}", flush=True)
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(endpoint.told(), flush=True)


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1]), float(sys.argv[2]) if sys.argv[2:] else 0.0))
