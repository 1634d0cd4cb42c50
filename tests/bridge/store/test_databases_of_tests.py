"""What the other tests stand on: a database that was used and given back is as a new one, or is not given out again."""

import pytest
from bridge_harness import PEOPLE, populate
from migrated import migrated_sqlite
from sqlalchemy import func, select, text
from sqlalchemy.exc import OperationalError

from bridge.store import schema
from bridge.store.engine import open_engine
from bridge.store.tables import account, change_log, metadata


def used(url, *statements):
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.execute(account.delete().where(account.c.user_id == "bob"))
        connection.execute(account.update().values(state="deleted"))
        for statement in statements:
            connection.execute(text(statement))
    return engine


def rows(url):
    engine = open_engine(url)
    with engine.connect() as connection:
        found = {
            table.name: sorted(map(tuple, connection.execute(select(table))))
            for table in metadata.sorted_tables
        }
    engine.dispose()
    return found


@pytest.fixture
def populated(postgres):
    return postgres.template("populated", populate)


def test_rows_of_a_test_are_taken_out_and_those_of_the_template_are_back(postgres, populated):
    url = postgres.fresh(populated)
    new = rows(url)
    assert len(new["account"]) == len(PEOPLE)
    used(url, "DELETE FROM device", "SELECT nextval('change_log_change_id_seq')").dispose()
    assert rows(url) != new
    postgres.give_back(url)
    assert postgres.fresh(populated) == url
    assert rows(url) == new
    engine = open_engine(url)
    schema.check_current(engine)
    with engine.begin() as connection:
        connection.execute(change_log.insert(), {"kind": "gone", "user_id": "alice", "ts": 0})
        assert connection.execute(select(func.max(change_log.c.change_id))).scalar() == 1
    engine.dispose()
    postgres.give_back(url)


def test_who_is_still_connected_is_not_any_more(postgres, populated):
    url = postgres.fresh(populated)
    engine = used(url)
    with engine.connect() as connection:
        connection.execute(account.update().values(state="active"))
        postgres.give_back(url)
        with pytest.raises(OperationalError):
            connection.execute(text("SELECT 1"))
    engine.dispose()


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TABLE more (what text)",
        "ALTER TABLE account ALTER state SET DEFAULT 'active'",
        "CREATE INDEX more ON account (created_ts)",
        "ANALYZE account",
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem = 64', current_database()); END $$",
    ],
)
def test_one_that_was_changed_in_other_ways_is_not_given_out_again(postgres, populated, change):
    url = postgres.fresh(populated)
    used(url, change).dispose()
    postgres.give_back(url)
    others = [postgres.fresh(populated) for _ in range(2)]
    assert url not in others
    for other in others:
        postgres.give_back(other)


def test_a_copied_file_is_a_migrated_database(tmp_path):
    url = migrated_sqlite(tmp_path, populate)
    engine = open_engine(url)
    schema.check_current(engine)
    engine.dispose()
    assert len(rows(url)["account"]) == len(PEOPLE)
