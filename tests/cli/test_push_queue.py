"""`pabal admin push …` on an empty queue, and names that are none."""

import json

import pytest
from migrated import migrated_sqlite

from cli.main import main


@pytest.fixture
def data(tmp_path):
    migrated_sqlite(tmp_path)
    return f"--data={tmp_path}"


@pytest.mark.parametrize("what", ["list", "dead"])
def test_an_empty_queue_is_an_empty_list(data, capsys, what):
    assert main(["admin", "push", what, data, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert main(["admin", "push", what, data]) == 0
    assert "state" in capsys.readouterr().out


@pytest.mark.parametrize("what", ["retry", "forget"])
def test_a_push_that_is_not_there_is_told(data, capsys, what):
    assert main(["admin", "push", what, "bob/phone/17/message", data]) == 1
    assert "no push bob/phone/17/message" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["bob", "bob/phone/x/message", "bob/phone/17/mail", "B!/phone/17/message"])
def test_a_name_that_is_none_is_a_wrong_usage(data, capsys, name):
    assert main(["admin", "push", "retry", name, data]) == 2
    assert "is not right" in capsys.readouterr().err


def test_without_a_database_there_is_no_queue(tmp_path, capsys):
    assert main(["admin", "push", "list", f"--data={tmp_path}"]) == 1
    assert "there is no database" in capsys.readouterr().err
