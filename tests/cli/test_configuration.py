import os

import pytest

from cli.address import Address
from cli.configuration import load, variable
from cli.errors import SettingsError
from cli.settings import Settings


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch):
    for key in os.environ:
        if key.upper().startswith("PABAL_"):
            monkeypatch.delenv(key)


@pytest.fixture
def config(tmp_path):
    def write(text):
        path = tmp_path / "pabal.toml"
        path.write_text(text)
        return str(path)

    return write


def refusal(flags=None, config=None):
    with pytest.raises(SettingsError) as caught:
        load(flags, config)
    error = caught.value
    assert "\n" not in error.cause
    assert error.hint is None
    assert error.exit_code == 2
    return error.cause


def test_without_anything_the_embedded_defaults_hold():
    settings = load().settings
    assert settings.mqtt == Address("127.0.0.1", 1883)
    assert settings.ws == Address("127.0.0.1", 8083)
    assert settings.http == Address("127.0.0.1", 8080)
    assert settings.url == "sqlite:///pabal-data/pabal.sqlite3"
    assert (settings.request_rate, settings.request_burst) == (50, 200)
    assert settings.rate_limits is True


def test_a_flag_goes_before_the_environment_and_that_before_the_file(config, monkeypatch):
    path = config('mqtt = "127.0.0.1:1"\nws = "127.0.0.1:2"\nhttp = "127.0.0.1:3"\n')
    monkeypatch.setenv("PABAL_WS", "127.0.0.1:20")
    monkeypatch.setenv("PABAL_HTTP", "127.0.0.1:30")
    settings = load({"http": "127.0.0.1:300", "ws": None}, path).settings
    assert [settings.mqtt.port, settings.ws.port, settings.http.port] == [1, 20, 300]


@pytest.mark.parametrize(
    ("mqtt", "ws"),
    [
        ("127.0.0.1:9", "127.0.0.1:9"),
        ("127.0.0.1:9", "localhost:9"),
        ("0.0.0.0:9", "127.0.0.1:9"),
        ("[::1]:9", "[::]:9"),
    ],
)
def test_two_listeners_on_one_port_are_refused_by_both_names(mqtt, ws):
    told = f"mqtt = {mqtt} and ws = {ws} are the same port; expected one port for each"
    assert refusal({"mqtt": mqtt, "ws": ws}) == told


@pytest.mark.parametrize(
    ("mqtt", "ws"),
    [
        ("127.0.0.1:0", "127.0.0.1:0"),
        ("127.0.0.1:9", "127.0.0.2:9"),
        ("127.0.0.1:9", "[::1]:9"),
        ("0.0.0.0:9", "[::]:9"),
        ("127.0.0.1:9", "[::]:9"),
    ],
)
def test_listeners_that_are_not_in_each_others_way_are_taken(mqtt, ws):
    settings = load({"mqtt": mqtt, "ws": ws}).settings
    assert (str(settings.mqtt), str(settings.ws)) == (mqtt, ws)


def test_the_file_may_be_named_by_the_environment(config, monkeypatch):
    monkeypatch.setenv("PABAL_CONFIG", config("request_rate = 7\n"))
    loaded = load()
    assert loaded.settings.request_rate == 7
    assert loaded.warnings == []


def test_an_empty_variable_is_one_that_was_not_set(monkeypatch):
    monkeypatch.setenv("PABAL_HTTP", "")
    assert load().settings.http.port == 8080


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:0", "127.0.0.1", 0),
        ("localhost:65535", "localhost", 65535),
        ("[::1]:1883", "::1", 1883),
        (" 0.0.0.0:80 ", "0.0.0.0", 80),
    ],
)
def test_an_address_is_a_host_and_a_port(text, host, port):
    address = load({"mqtt": text}).settings.mqtt
    assert address == (host, port)
    assert str(address) == text.strip()


@pytest.mark.parametrize(
    "text", ["1883", "localhost", "localhost:", ":1883", "h:65536", "h:-1", "h:x", "::1:1883", "h:²", "[]:1"]
)
def test_an_address_that_is_none_is_refused_with_its_flag_its_value_and_an_example(text):
    cause = refusal({"mqtt": text})
    assert cause.startswith(f"mqtt = {text!r} (flag --mqtt) is not right; expected HOST:PORT, such as ")


@pytest.mark.parametrize(
    ("name", "wrong", "right"),
    [
        ("request_rate", "many", "50"),
        ("request_rate", "0", "1"),
        ("login_failures_per_minute", "-1", "1"),
        ("max_packet_bytes", "12", "2048"),
        ("small_group_limit", "1", "2"),
        ("small_group_limit", "501", "500"),
        ("max_group_members", "1", "2"),
        ("log_level", "loud", "debug"),
        ("log_format", "xml", "json"),
        ("rate_limits", "perhaps", "off"),
        ("data", "", "x"),
        ("data", "a\0b", "a-b"),
        ("plugins", "{", '{"a.B": {}}'),
        ("plugins", '{"a.B": 1}', "{}"),
        ("database_url", "sqlite:///:memory:", "sqlite:////tmp/x.sqlite3"),
        ("database_url", "sqlite://", "sqlite:///x.sqlite3"),
    ],
)
def test_a_wrong_value_is_refused_where_a_right_one_is_taken(name, wrong, right):
    load({name: right})
    assert refusal({name: wrong}).startswith(f"{name} = ")


def test_a_wrong_variable_is_named_with_what_would_be_right(monkeypatch):
    monkeypatch.setenv("PABAL_RATE_LIMITS", "maybe")
    assert (
        refusal() == "rate_limits = 'maybe' (environment PABAL_RATE_LIMITS) is not right; expected on or off"
    )


def test_a_wrong_value_in_the_file_is_named_with_the_file(config):
    path = config("request_burst = 'x'\n")
    assert refusal(None, path) == (
        f"request_burst = 'x' ({path}) is not right; expected a whole number from 1 to 1000000"
    )


def test_a_very_long_value_is_cut_in_the_refusal():
    assert len(refusal({"mqtt": "x" * 10_000})) < 300


@pytest.mark.parametrize(
    "url",
    ["hunter2", "http://:hunter2@cache", "redis://:hunter2@cache:x", "redis+cluster://:hunter2@cache/1"],
)
def test_a_url_of_redis_that_is_none_is_refused_and_keeps_its_secrets(url):
    cause = refusal({"redis_url": url})
    assert "hunter2" not in cause
    assert cause.startswith("redis_url = ")
    assert "redis://" in cause


def test_a_good_url_of_redis_is_taken_and_shown_without_its_secrets():
    settings = load({"redis_url": "redis://:hunter2@cache:6379/1"}).settings
    assert str(settings.redis) == "redis://cache:6379/1"
    assert "hunter2" not in repr(settings)
    assert load({}).settings.redis is None


def test_an_unknown_key_in_the_file_is_refused_with_the_nearest_one(config):
    path = config('htpp = "127.0.0.1:1"\n')
    assert refusal(None, path) == (
        f"htpp = '127.0.0.1:1' in {path}: there is no such setting; did you mean http?"
    )


def test_an_unknown_key_like_none_points_to_the_list(config):
    assert refusal(None, config("zzzzzz = 1\n")).endswith("; all settings are in docs/configuration.md")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    path = str(tmp_path / "missing.toml")
    assert refusal(None, path).startswith(f"config = {path!r}: cannot be read (No such file or directory)")
    assert "Is a directory" in refusal(None, str(tmp_path))


@pytest.mark.parametrize("content", [b"= 1\n", b"\xff\xfe"])
def test_a_file_that_is_no_toml_is_named(tmp_path, content):
    path = tmp_path / "pabal.toml"
    path.write_bytes(content)
    assert refusal(None, str(path)).startswith(f"config = {str(path)!r}: not a TOML file (")


def test_an_unknown_variable_is_warned_about_with_the_nearest_setting(monkeypatch):
    monkeypatch.setenv("PABAL_RATE_LIMIT", "off")
    monkeypatch.setenv("PABAL_PROFILE", "/tmp/profile.json")
    assert load().warnings == [
        "PABAL_RATE_LIMIT is set, but there is no such setting; did you mean PABAL_RATE_LIMITS?"
    ]


def test_origins_are_a_list_in_the_file_and_separated_by_commas_elsewhere(config):
    file = config('cors_origins = ["https://a.example", "https://b.example"]\n')
    assert load(None, file).settings.cors_origins == ["https://a.example", "https://b.example"]
    assert load({"cors_origins": "https://a.example, https://b.example"}).settings.cors_origins == [
        "https://a.example",
        "https://b.example",
    ]


def test_plugins_are_a_table_in_the_file(config):
    file = config('[plugins."acme.Logger"]\nlevel = 3\n')
    assert load(None, file).settings.plugins == {"acme.Logger": {"level": 3}}


def test_settings_survive_the_way_to_the_child_process():
    settings = load(
        {"mqtt": "[::1]:0", "database_url": "sqlite:////tmp/a.sqlite3", "plugins": '{"a.B": {"c": 1}}'}
    ).settings
    assert Settings.model_validate_json(settings.model_dump_json()) == Settings(**settings.model_dump())
    again = Settings.model_validate_json(settings.model_dump_json())
    assert (again.mqtt, again.url, again.plugins) == (settings.mqtt, settings.url, settings.plugins)


def test_every_setting_says_what_it_is_and_what_would_be_right():
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.json_schema_extra["expected"], name
        assert variable(name) == f"PABAL_{name.upper()}"


@pytest.mark.parametrize(
    "url",
    [
        "mysql://pabal:hunter2@db/pabal",
        "postgresql+psycopg2://pabal:hunter2@db/pabal",
        "postgresql://pabal:hunter2@db",
        "postgresql://pabal:hunter2@db:port/pabal",
        "hunter2",
        "sqlite://",
        "sqlite:///:memory:",
    ],
)
def test_a_database_that_cannot_be_used_is_refused_and_its_secret_kept(url):
    cause = refusal({"database_url": url})
    assert cause.startswith("database_url = ")
    assert "sqlite:///PATH or postgresql+psycopg://" in cause
    assert "hunter2" not in cause


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_is_taken_and_shown_without_its_secrets(scheme):
    settings = load(
        {"database_url": f"{scheme}://pabal:hun%40ter2@db:5433/chat?sslmode=require&passfile=secret"}
    ).settings
    assert not settings.is_sqlite
    assert settings.url.startswith("postgresql+psycopg://pabal:hun%40ter2@db:5433/chat?")
    assert settings.database_shown == "postgresql+psycopg://pabal:***@db:5433/chat"
