"""The migrations and the tables of `bridge.store.tables` are the same schema, up and down."""

import json
from importlib.resources import files

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text

from bridge.ports import Source
from bridge.push_commands import SetPush, check_push
from bridge.store import schema
from bridge.store.tables import metadata
from pabal import messages as m
from pabal.ids import DeviceId, UserId
from push.build import PushSettings, build


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


def test_a_migrations_number_is_that_of_its_file(engine):
    """So that nobody has to run them all to know which is the newest."""
    config = Config()
    config.set_main_option("script_location", str(files("migrations")))
    script = ScriptDirectory.from_config(config)
    steps = [step.revision for step in script.walk_revisions()]
    assert steps == sorted(steps, reverse=True)
    assert (schema.state(engine).wanted, schema._revisions()[1]) == (script.get_current_head(), set(steps))


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


KEYS = {
    "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
    "auth": "BTBZMqHH6r4Tts7J_aSIgg",
}
SECRET = "whsec_" + "QUFB" * 8


def subscribe(connection, device: str, target: str, service: str = "webpush") -> None:
    """As before there was a host, or as if."""
    connection.execute(
        text(
            "INSERT INTO push_subscription (user_id, device_id, service, target, preview, lang, subscribed_ts)"
            " VALUES ('bob', :device, :service, :target, 'full', 'ko', 0)"
        ),
        {"device": device, "target": target, "service": service},
    )


def hosts(engine) -> dict[str, str]:
    with engine.connect() as connection:
        found = connection.execute(text("SELECT device_id, host FROM push_subscription"))
        return {row.device_id: row.host for row in found}


@pytest.mark.parametrize(
    ("given", "host"),
    [
        ({"service": "webpush", "endpoint": "https://Push.Example/a?b=c", "keys": KEYS}, "push.example"),
        ({"service": "webpush", "endpoint": "https://push.example:8443/a", **KEYS}, "push.example:8443"),
        ({"service": "unifiedpush", "endpoint": "https://[2606:4700::1111]/up", **KEYS}, "[2606:4700::1111]"),
        ({"service": "webhook", "url": "https://Hooks.example", "secret": SECRET}, "hooks.example"),
        ({"service": "stdout"}, ""),
    ],
)
def test_a_subscription_without_a_host_gets_the_one_that_setting_it_again_would_give(
    engine, tmp_path, given, host
):
    services = build(PushSettings(folder=tmp_path))
    asked = m.PushSet(id="1", **given)
    now = check_push(Source(UserId("bob"), DeviceId("d")), asked, services)
    assert isinstance(now, SetPush)
    schema.upgrade(engine)
    schema.downgrade(engine, "0011")
    with engine.begin() as connection:
        subscribe(connection, "d", now.target, now.service)
    schema.upgrade(engine)
    assert hosts(engine) == {"d": host} == {"d": now.host}


ODD_TARGETS = [
    "",
    "{",
    "null",
    "[]",
    '"https://push.example/a"',
    "[" * 100_000,
    "1" * 10_000,
    '{"endpoint":""}',
    '{"endpoint":7}',
    '{"endpoint":{"url":"https://push.example"}}',
    '{"endpoint":"https://[push.example/a"}',
    '{"endpoint":"https://a\\u2100b.example/"}',
    '{"endpoint":"https://a\\u0000b.example/"}',
    '{"endpoint":"https://\\ud800.example/"}',
    json.dumps({"endpoint": f"https://{'a' * 301}/"}),
    '{"token":"https://push.example/a"}',
]


def test_what_is_no_target_stops_no_upgrade_and_keeps_no_host_from_others(engine):
    schema.upgrade(engine)
    schema.downgrade(engine, "0011")
    with engine.begin() as connection:
        for number, target in enumerate(ODD_TARGETS):
            subscribe(connection, f"odd{number:02}", target)
        subscribe(connection, "a", '{"endpoint":"https://one.example/"}')
        subscribe(connection, "z", '{"endpoint":"","url":"https://two.example/"}')
    schema.upgrade(engine)
    odd = {f"odd{number:02}": "" for number in range(len(ODD_TARGETS))}
    assert hosts(engine) == {"a": "one.example", **odd, "z": "two.example"}


def test_hosts_are_filled_in_all_of_several_batches_and_none_that_is_there_is_changed(engine):
    schema.upgrade(engine)
    schema.downgrade(engine, "0011")
    wanted = {}
    with engine.begin() as connection:
        for number in range(2_100):
            # A batch without a single host is not the end.
            wanted[f"d{number:04}"] = "" if number < 1_050 else f"h{number}.example"
            subscribe(
                connection,
                f"d{number:04}",
                "{}" if number < 1_050 else f'{{"endpoint":"https://h{number}.example/"}}',
            )
        connection.execute(
            text("UPDATE push_subscription SET host = 'kept.example' WHERE device_id = 'd2000'")
        )
    wanted["d2000"] = "kept.example"
    schema.upgrade(engine)
    assert hosts(engine) == wanted
    schema.downgrade(engine, "0011")
    assert hosts(engine) == wanted
    schema.upgrade(engine)
    assert hosts(engine) == wanted
