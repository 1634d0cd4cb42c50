import json

import pytest


@pytest.fixture
def people(tmp_path):
    file = tmp_path / "people.json"
    file.write_text(json.dumps([{"user": user, "device": "d", "secret": "s"} for user in ("alice", "bob")]))
    return file


def test_a_file_that_cannot_be_read_is_told(pabal, people):
    people.write_text('[{"user": "alice"}]')
    done = pabal("bench", "--credentials", str(people))
    assert done.code == 1
    assert "people.json cannot be read" in done.err
    assert "device" in done.err


def test_too_few_people_are_told(pabal, people):
    done = pabal("bench", "--credentials", str(people), "--pairs", "2")
    assert (done.code, "2 pairs need 4 people, not 2" in done.err) == (1, True)


def test_a_server_that_is_not_there_is_told(pabal, people):
    done = pabal("bench", "--credentials", str(people), "--pairs", "1", "--mqtt", "127.0.0.1:1")
    assert done.code == 1
    assert "no server answers at 127.0.0.1:1" in done.err


def test_without_a_database_there_is_nobody_to_send_as(pabal):
    done = pabal("bench")
    assert (done.code, "there is no database" in done.err) == (1, True)
