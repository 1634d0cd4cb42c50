"""Which schema a database has, and what is said where it does not fit."""

import subprocess
import sys
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
def test_a_database_with_several_versions_at_once_is_not_ours(empty, act):
    schema.upgrade(empty)
    with empty.begin() as connection:
        connection.execute(text("INSERT INTO alembic_version VALUES ('0001')"))
    with pytest.raises(schema.SchemaError, match="0001, "):
        act(empty)


def test_alembic_is_not_loaded_where_the_schema_fits(empty):
    schema.upgrade(empty)
    code = (
        "import sys; from bridge.store import schema; from bridge.store.engine import open_engine\n"
        f"engine = open_engine({empty.url.render_as_string()!r})\n"
        "schema.check_current(engine); print(schema.upgrade(engine), 'alembic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


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


@pytest.fixture
def extended(request):
    """A database without our tables, in which an extension has one, as PostGIS has `spatial_ref_sys`."""
    engine = open_engine(request.getfixturevalue("postgres").fresh("template1"))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE spatial_ref_sys (srid integer)"))
        connection.execute(text("ALTER EXTENSION plpgsql ADD TABLE spatial_ref_sys"))
    yield engine
    engine.dispose()


def test_tables_of_postgresqls_extensions_are_no_other_program(extended):
    assert schema.state(extended).strangers == ()
    assert schema.upgrade(extended) is True
    schema.check_current(extended)
    assert "spatial_ref_sys" in inspect(extended).get_table_names()


def test_a_table_beside_those_of_extensions_or_of_the_same_name_elsewhere_is_another_programs(extended):
    with extended.begin() as connection:
        connection.execute(text("CREATE TABLE orders (id integer)"))
        # Theirs is in a schema of its own now, and what is here is not.
        connection.execute(text("CREATE SCHEMA gis"))
        connection.execute(text("ALTER TABLE spatial_ref_sys SET SCHEMA gis"))
        connection.execute(text("CREATE TABLE spatial_ref_sys (srid integer)"))
        # What hangs on an extension is not of it.
        connection.execute(
            text("CREATE FUNCTION four() RETURNS integer LANGUAGE plpgsql AS 'BEGIN RETURN 4; END'")
        )
        connection.execute(text("CREATE TABLE parts (id integer DEFAULT four())"))
    with pytest.raises(schema.SchemaError, match=r"of another program \(orders, parts, spatial_ref_sys\)"):
        schema.upgrade(extended)


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
