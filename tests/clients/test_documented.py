"""docs/client-library.md does what it says."""

import json
import re
from pathlib import Path

import pytest
from fake_mqtt_broker import FakeBroker
from fake_rest_server import FakeRest

from pabal_client import Client, Rest

PAGE = (Path(__file__).parents[2] / "docs" / "client-library.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def broker(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with FakeBroker() as broker:
        yield broker


def test_the_snippets_run_one_after_the_other_and_nothing_of_them_is_refused(broker, monkeypatch):
    server, refused = broker.server, []
    answer = server.handle

    def handle(*request):
        out = answer(*request)
        refused.extend(payload for _, payload in out if not json.loads(payload).get("ok", True))
        return out

    monkeypatch.setattr(server, "handle", handle)
    broker.peer_says("before")
    server.contacts["alice", "carol"] = "received"
    server.make_block_add("alice", "phone", {"user": "eve"})
    here = f"mqtt://127.0.0.1:{broker.port}"
    with FakeRest(server) as rest:
        rest.passwords = {"alice": "the old one"}
        rest.devices = [{"device": "laptop"}]
        with Rest(rest.url) as http:
            secret = http.log_in("alice", "the old one", "laptop").access_token
        globs = {"secret": secret, "Path": Path}
        for block in BLOCKS:
            code = block.replace("mqtt://127.0.0.1:1883", here).replace("updates()", "updates(timeout=0.5)")
            if "Client.open(" in code and "client" in globs:
                globs["client"].close()
            exec(compile(code, "client-library.md", "exec"), globs)
            client = globs["client"]
            if client.error is None and "with Client.open" not in code:
                client.flush(60)
            if "with Client.open" in code or "on_presence" in code:
                client.close()
                options = {"user": "alice", "device": "laptop", "password": secret, "http": rest.url}
                globs["client"] = Client.open(here, store="alice.db", **options)
        globs["client"].close()
        assert rest.passwords == {}
    assert refused == []
    assert Path("alice.zip").exists()
    assert server.reports == [("alice", {"conv": "alice~mallory", "message_id": 3, "reason": "spam"})]
    assert ("alice", "alice~bob", 12) in server.reads


def test_every_part_of_the_page_has_a_snippet():
    parts = PAGE.split("\n## ")[1:]
    assert len(BLOCKS) >= len(parts) - 1
