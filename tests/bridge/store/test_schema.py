"""Which schema a database has, and what is said where it does not fit."""

from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from bridge.build import Bridge
from bridge.store import schema
from bridge.store.engine import open_engine, sqlite_url


@pytest.fixture
def empty(tmp_path):
    engine = open_engine(sqlite_url(tmp_path))
    yield engine
    engine.dispose()


def test_an_empty_database_is_upgraded_once(empty):
    assert schema.state(empty).current is None
    assert schema.upgrade(empty) is True
    assert schema.state(empty).is_current
    assert schema.upgrade(empty) is False
    schema.check_current(empty)


def test_an_older_schema_is_refused_with_the_command_that_helps(empty):
    with pytest.raises(schema.SchemaError) as refused:
        schema.check_current(empty)
    assert "has schema none" in refused.value.detail
    assert refused.value.hint == "run: pabal db upgrade"


@pytest.mark.parametrize("act", [schema.upgrade, schema.check_current])
def test_a_database_of_a_newer_version_is_refused_and_left_alone(empty, act):
    schema.upgrade(empty)
    with empty.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(schema.SchemaError, match="newer") as refused:
        act(empty)
    assert "newer version of Pabal" in refused.value.hint
    assert schema.state(empty).current == "9999"


@pytest.mark.parametrize("act", [schema.upgrade, schema.check_current])
@pytest.mark.parametrize("template", ["sqlite", "postgresql"])
def test_a_database_of_another_program_is_refused_and_left_alone(request, tmp_path, template, act):
    if template == "sqlite":
        theirs = open_engine(sqlite_url(tmp_path))
    else:
        theirs = open_engine(request.getfixturevalue("postgres").fresh("template1"))
    names = {"account", "orders", "parts", "wares"}
    with theirs.begin() as connection:
        for name in names:
            connection.execute(text(f"CREATE TABLE {name} (id integer)"))
    with pytest.raises(
        schema.SchemaError, match=r"of another program \(account, orders, parts, …\)"
    ) as refused:
        act(theirs)
    assert refused.value.hint == "give Pabal a database of its own"
    assert set(inspect(theirs).get_table_names()) == names
    theirs.dispose()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path):
    (tmp_path / "pabal.sqlite3").write_bytes(b"this is a letter to my aunt" * 100)
    engine = open_engine(sqlite_url(tmp_path))
    with pytest.raises(schema.SchemaError, match="not a usable database") as refused:
        schema.upgrade(engine)
    assert "backup" in refused.value.hint
    engine.dispose()


def test_a_bridge_over_an_older_schema_does_not_start(tmp_path: Path):
    with pytest.raises(schema.SchemaError):
        Bridge(sqlite_url(tmp_path))
