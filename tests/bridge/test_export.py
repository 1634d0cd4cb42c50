"""An export has all that the account may see and nothing else, whatever its size, in bounded memory."""

import io
import json
import zipfile
from random import Random

import pytest
from account_fakes import open_world

from bridge import export
from bridge.archive import CHUNK, zipped
from bridge.export import Export, ExportFile
from pabal.errors import NotFound
from pabal.ids import UserId

ALICE = UserId("alice")
WHEN = (2026, 1, 2, 3, 4, 6)


@pytest.fixture
def accounts(url, tmp_path):
    folder = tmp_path / "keys"
    folder.mkdir()
    with open_world(folder, url) as world:
        yield world.accounts


def exported(accounts, harness, user=ALICE) -> dict[str, object]:
    made = Export(accounts, harness.bridge.reads, harness.bridge.reads.people, str).files(
        user, 1_700_000_000_000
    )
    content = b"".join(zipped(made, WHEN))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {
            name: json.loads(archive.read(name)) if name.endswith(".json") else archive.read(name).decode()
            for name in archive.namelist()
        }


async def ask(harness, who, **request):
    reply = await harness.ask(who, request)
    assert reply["ok"] is True, reply
    return reply


async def test_everything_that_one_may_see_is_in_it(harness, accounts):
    await ask(harness, "alice", id="1", to="bob", text="hi", body={"a": [1]})
    await ask(harness, "bob", id="1", to="alice", text="ho")
    await ask(harness, "alice", id="2", op="react", conv="alice~bob", target=2, emoji="👍")
    await ask(harness, "bob", id="2", op="react", conv="alice~bob", target=1, emoji="🎉")
    await ask(harness, "alice", id="c", op="contact.request", user="carol")
    accounts.update_profile(ALICE, display_name="Alice", about="about")
    hours = {"from": "22:00", "to": "07:00", "tz": "Asia/Seoul"}
    await ask(harness, "alice", id="q", op="quiet.set", hours=hours)
    found = exported(accounts, harness)
    assert found["profile.json"]["display_name"] == "Alice"
    assert [one["device"] for one in found["devices.json"]] == ["d"]
    assert found["sessions.json"] == []
    assert found["privacy.json"]["write"] == "everyone"
    assert [(one["user"], one["state"]) for one in found["contacts.json"]] == [("carol", "requested")]
    assert found["blocks.json"] == found["pushes.json"] == []
    assert found["quiet.json"] == {"quiet": hours, "conversations": {}}
    await ask(harness, "alice", id="b", op="block.add", user="carol")
    again = exported(accounts, harness)
    assert ([one["user"] for one in again["blocks.json"]], again["contacts.json"]) == (["carol"], [])
    assert [one["conv"] for one in found["conversations.json"]] == ["alice~bob"]
    messages = found["messages/alice~bob.json"]
    assert [(one["message_id"], one.get("text")) for one in messages] == [
        (1, "hi"), (2, "ho"), (3, None), (4, None),
    ]  # fmt: skip
    assert messages[0]["body"] == {"a": [1]}
    assert found["reactions/alice~bob.json"] == [{"emoji": "👍", "target": 2}]
    assert "alice" in found["README.txt"]


async def test_what_one_may_not_see_is_not_in_it(harness, accounts):
    await ask(harness, "bob", id="1", to="carol", text="between others")
    group = (await ask(harness, "bob", id="g", op="group.create", name="R", members=["carol"]))["conv"]
    await ask(harness, "bob", id="2", conv=group, text="before")
    await ask(harness, "bob", id="3", op="react", conv=group, target=2, emoji="x")
    await ask(harness, "bob", id="a", op="group.add", conv=group, user="alice")
    await ask(harness, "bob", id="4", conv=group, text="since")
    left = (await ask(harness, "bob", id="h", op="group.create", name="L", members=["alice"]))["conv"]
    await ask(harness, "bob", id="5", conv=left, text="in what was left")
    await ask(harness, "alice", id="l", op="group.leave", conv=left)
    found = exported(accounts, harness)
    said = json.dumps(found)
    assert "between others" not in said
    assert "before" not in said
    assert "in what was left" not in said
    assert [one.get("text") for one in found[f"messages/{group}.json"]] == [None, "since"]


async def test_no_secret_is_in_it(harness, accounts, engine):
    accounts.set_password(ALICE, "correct horse")
    session = accounts.log_in("alice", "correct horse", "phone")
    made = accounts.add_device(ALICE, "correct horse", "lamp")
    found = exported(accounts, harness)
    assert [one["device"] for one in found["sessions.json"]] == ["phone"]
    assert [one["event"] for one in found["security.json"]][:2] == ["device_added", "logged_in"]
    said = json.dumps(found)
    with engine.connect() as connection:
        hashes = connection.exec_driver_sql("SELECT password_hash FROM account WHERE user_id = 'alice'")
        for hidden in (made.secret, session.access_token, session.refresh_token, hashes.scalar_one()):
            assert hidden not in said


async def test_it_is_read_in_pages(harness, accounts, monkeypatch):
    monkeypatch.setattr(export, "PAGE", 2)
    for number in range(5):
        await ask(harness, "alice", id=f"{number}", to="alice", text=f"{number}")
        await ask(
            harness, "alice", id=f"r{number}", op="react", conv="alice~alice", target=1, emoji=f"{number}"
        )
    await ask(harness, "alice", id="b", to="bob", text="x")
    await ask(harness, "alice", id="c", to="carol", text="x")
    found = exported(accounts, harness)
    assert [one["message_id"] for one in found["messages/alice~alice.json"]] == list(range(1, 11))
    assert [one["emoji"] for one in found["reactions/alice~alice.json"]] == ["0", "1", "2", "3", "4"]
    assert [one["conv"] for one in found["conversations.json"]] == ["alice~alice", "alice~bob", "alice~carol"]


@pytest.mark.parametrize("user", ["nobody", "carol"])
def test_who_is_not_there_has_no_export(accounts, user):
    if user == "carol":
        accounts.delete(UserId("carol"))
    with pytest.raises(NotFound):
        next(iter(Export(accounts, None, None, str).files(UserId(user), 0)))


def test_the_archive_is_made_while_it_is_read():
    made = []
    random = Random(1)

    def content():
        for _ in range(100):
            made.append(random.randbytes(20_000))
            yield made[-1]

    files = (ExportFile(f"{number}.bin", content()) for number in range(5))
    chunks = zipped(files, WHEN)
    first = next(chunks)
    assert len(made) < 10
    archive = first + next(chunks)
    assert len(made) < 20
    sizes = [len(first)]
    for chunk in chunks:
        archive += chunk
        sizes.append(len(chunk))
    assert len(made) == 500
    assert max(sizes) < 4 * CHUNK
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert opened.read("4.bin") == b"".join(made[400:])
