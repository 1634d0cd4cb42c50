"""What every service of the stack has, so that an operator need not think of it."""

import re

import pytest
import typer.main
from compose_files import DOCKER, FILES, compose, services, text, variables

from cli import configuration
from cli.main import app
from cli.settings import SECRETS, Settings

ALL = services()
each_service = pytest.mark.parametrize("service", ALL, ids=str)
each_file = pytest.mark.parametrize("file", FILES)
# What belongs to one of the two stacks, and would make no sense in the other.
OF_ONE = {
    "compose.yaml": {"broker"},
    "compose.mosquitto.yaml": {"mosquitto", "bridge", "standby", "webapi2"},
}


def commands():
    return typer.main.get_command(app).commands


@each_service
def test_a_service_has_no_rights_that_it_does_not_need(service):
    assert service.spec["read_only"] is True
    assert service.spec["cap_drop"] == ["ALL"]
    assert service.spec["security_opt"] == ["no-new-privileges:true"]
    assert service.name == "postgres" or "cap_add" not in service.spec
    assert service.name == "postgres" or re.fullmatch(r"[1-9]\d*:[1-9]\d*", service.spec["user"])


@each_service
def test_a_service_has_bounds(service):
    assert service.spec["mem_limit"]
    assert 0 < float(service.spec["cpus"]) <= 1
    assert service.spec["pids_limit"]
    assert service.spec["ulimits"]["nofile"]
    assert service.spec["logging"] == {
        "driver": "json-file",
        "options": {"max-size": "10m", "max-file": "5"},
    }
    assert all("size=" in mount for mount in service.spec["tmpfs"])


@each_service
def test_a_service_that_fails_comes_back_and_says_how_it_is(service):
    if service.spec.get("profiles") == ["tools"]:
        assert service.spec["restart"] == "no"
        return
    assert service.spec["restart"] == "unless-stopped"
    assert service.spec["stop_grace_period"]
    if "healthcheck" in service.spec:
        assert service.spec["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
    else:
        assert service.spec["image"].startswith("pabal"), (
            "only the images of this project have one of their own"
        )


@each_service
def test_only_the_proxy_is_reached_from_outside_and_only_from_this_machine(service):
    if service.name != "proxy":
        assert "ports" not in service.spec
        return
    assert [port.rpartition(":")[2] for port in service.spec["ports"]] == ["8443", "8883"]
    assert all(port.startswith("127.0.0.1:") for port in service.spec["ports"])


@each_service
def test_a_service_waits_until_what_it_needs_is_well(service):
    others = compose(service.file)["services"]
    for name, condition in service.spec.get("depends_on", {}).items():
        assert name in others
        assert condition == {"condition": "service_healthy"}


@each_service
def test_no_password_stands_in_a_variable(service):
    for name in service.spec.get("environment", {}):
        assert not re.search("PASSWORD|SECRET|URL", name) or name.endswith("_FILE"), name


@each_file
def test_what_is_used_is_declared_and_what_is_declared_is_used(file):
    whole = compose(file)
    used = {"secrets": set(), "networks": set(), "volumes": set()}
    for service in whole["services"].values():
        used["secrets"] |= set(service.get("secrets", []))
        used["networks"] |= set(service["networks"])
        mounts = [mount.partition(":")[0] for mount in service.get("volumes", [])]
        used["volumes"] |= {mount for mount in mounts if not mount.startswith((".", "/"))}
    for kind, names in used.items():
        assert names == set(whole[kind]), kind


@each_file
def test_nobody_gets_in_or_out_but_by_the_proxy(file):
    whole = compose(file)
    assert whole["networks"]["inside"] == {"internal": True}
    outside = {name for name, service in whole["services"].items() if "outside" in service["networks"]}
    # The push worker calls the push services of others.
    assert outside <= {"proxy", "push"}


@each_file
def test_the_file_needs_nothing_that_only_one_of_the_two_composes_knows(file):
    whole = compose(file)
    assert set(whole) - {"services", "volumes", "networks", "secrets"} <= {
        name for name in whole if name.startswith("x-")
    }
    assert not any({"deploy", "extends", "develop"} & set(service) for service in whole["services"].values())


def test_the_two_stacks_differ_in_their_broker_alone():
    stacks = {file: compose(file)["services"] for file in FILES}
    for file, own in stacks.items():
        for other in stacks.values():
            assert set(own) - set(other) <= OF_ONE[file]
    for name in set.intersection(*(set(own) for own in stacks.values())):
        first, *rest = (_without_broker(own[name]) for own in stacks.values())
        assert all(one == first for one in rest), name


def _without_broker(service):
    of_broker = {"depends_on", "build", "scale", "volumes"}
    kept = {key: value for key, value in service.items() if key not in of_broker}
    if "environment" in kept:
        kept["environment"] = {
            key: value
            for key, value in service["environment"].items()
            if key not in {"BROKER", "PABAL_RELAY", "PABAL_SERVICE_NAME", "PABAL_SERVICE_SECRET_FILE"}
        }
    kept["secrets"] = sorted(set(service.get("secrets", [])) - {"service_secret"})
    return kept


PABAL = [service for service in ALL if service.is_pabal]


@pytest.mark.parametrize("service", PABAL, ids=str)
def test_what_a_role_is_told_is_what_its_command_can_be_told(service):
    [command] = service.spec.get("command", ["serve"])
    flags = {option for parameter in commands()[command].params for option in parameter.opts}
    for variable in service.spec["environment"]:
        setting = variable.removeprefix("PABAL_").lower()
        assert setting in Settings.model_fields
        assert configuration.flag(setting) in flags, f"pabal {command} has no {configuration.flag(setting)}"


@pytest.mark.parametrize("service", PABAL, ids=str)
def test_a_role_takes_the_values_that_it_is_told(service, made_secrets, mosquitto_folder, monkeypatch):
    for variable, value in service.spec["environment"].items():
        here = str(value).replace("/run/secrets", str(made_secrets))
        monkeypatch.setenv(variable, here.replace("/var/lib/pabal-mosquitto", str(mosquitto_folder)))
    loaded = configuration.load()
    assert loaded.warnings == []
    for secret in SECRETS:
        if f"PABAL_{secret.upper()}_FILE" in service.spec["environment"]:
            assert getattr(loaded.settings, secret).get_secret_value()


@pytest.mark.parametrize("service", PABAL, ids=str)
def test_a_role_has_the_secrets_that_it_is_told_of_and_no_others(service):
    told = [
        value.rpartition("/")[2]
        for value in service.spec["environment"].values()
        if str(value).startswith("/run/secrets/")
    ]
    assert sorted(told) == sorted(service.spec["secrets"])


@each_file
def test_each_secret_is_a_file_that_the_first_start_makes(file, made_secrets):
    for name, secret in compose(file)["secrets"].items():
        assert secret == {"file": f"./secrets/{name}"}
        assert (made_secrets / name).read_text().strip()


@each_file
def test_the_readme_says_what_can_stand_in_the_environment(file):
    page = (DOCKER / "README.md").read_text("utf-8")
    stack_test = {"PABAL_IMAGE", "PABAL_PROXY_IMAGE", "PABAL_MOSQUITTO_IMAGE"}
    missing = [name for name in variables(file) if f"`{name}`" not in page and name not in stack_test]
    assert missing == []
    assert "${PABAL" not in re.sub(r"\$\{PABAL_\w+:-[^}]*\}", "", text(file)), "a variable without a default"


def test_clients_are_told_one_address_by_whoever_tells_them():
    told = [compose("compose.yaml")["services"][name]["environment"] for name in ("broker", "webapi")]
    for name in ("PABAL_PUBLIC_MQTT", "PABAL_PUBLIC_WS"):
        assert len({environment[name] for environment in told}) == 1
