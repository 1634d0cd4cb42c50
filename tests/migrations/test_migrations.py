"""The migrations and the tables of `bridge.store.tables` are the same schema, up and down."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

from bridge.store import schema
from bridge.store.tables import metadata


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request, tmp_path):
    url = f"sqlite:///{tmp_path / 'migrated.sqlite3'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").fresh("template1")
    made = create_engine(url)
    yield made
    made.dispose()


def dump(connection) -> dict[str, str]:
    rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
    return {
        name: " ".join(sql.split()).replace("( ", "(").replace(" )", ")")
        for name, sql in rows
        if name not in {"alembic_version", "sqlite_sequence"}
    }


def test_migrating_up_makes_exactly_the_tables_of_the_models(engine):
    schema.upgrade(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_the_tables_are_the_same_to_the_letter_where_the_comparison_is_blind(engine, tmp_path):
    """WITHOUT ROWID and defaults are not compared by alembic."""
    schema.upgrade(engine)
    modelled = create_engine(f"sqlite:///{tmp_path / 'modelled.sqlite3'}")
    metadata.create_all(modelled)
    with engine.connect() as one, modelled.connect() as other:
        assert dump(one) == dump(other)
    modelled.dispose()


def test_migrating_down_leaves_nothing_and_up_again_works(engine):
    schema.upgrade(engine)
    schema.downgrade(engine, "base")
    assert set(inspect(engine).get_table_names()) <= {"alembic_version"}
    schema.upgrade(engine)
    assert schema.state(engine).is_current


def test_those_who_have_a_name_already_are_found_by_it(engine):
    schema.upgrade(engine)
    schema.downgrade(engine, "0006")
    with engine.begin() as connection:
        for user, name in (("alice", "'Stra\u00dfe'"), ("bob", "NULL")):
            connection.execute(
                text(
                    "INSERT INTO account (user_id, display_name, state, admin, created_ts)"
                    f" VALUES ('{user}', {name}, 'active', false, 0)"
                )
            )
    schema.upgrade(engine)
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT user_id, found_as, privacy FROM account ORDER BY user_id")
        ).all()
    assert [tuple(row) for row in rows] == [("alice", "strasse", None), ("bob", "", None)]
