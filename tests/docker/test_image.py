"""What the images are made of, without making them."""

import contextlib
import importlib.util
import re
import socket
import threading
import tomllib

import pytest
from compose_files import DOCKER, ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DOCKERFILES = [DOCKER / "Dockerfile", *sorted(DOCKER.glob("*/Dockerfile"))]


def script(name):
    specification = importlib.util.spec_from_file_location(name, DOCKER / f"{name}.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def copied(file):
    lines = re.findall(r"^COPY (?!--from)(.*)$", file.read_text(), re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.parent.name)
def test_an_image_does_not_run_as_root_and_says_how_it_is(file):
    last = file.read_text().rpartition("\nFROM ")[2]
    assert re.findall(r"^USER (.*)$", last, re.MULTILINE)[-1] == "${PABAL_UID}:${PABAL_GID}"
    assert re.findall(r"^ARG PABAL_UID=(\d+)$", last, re.MULTILINE) == ["10001"]
    assert "HEALTHCHECK --interval=" in last


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.parent.name)
def test_what_an_image_copies_is_there_and_let_in(file):
    let_in = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    for source in copied(file):
        assert (ROOT / source).exists(), source
        assert any(source == one or source.startswith(f"{one}/") for one in let_in), source


def test_everything_that_is_installed_is_copied_and_nothing_else_of_the_sources():
    packages = {
        path.partition("/")[0] for path in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    }
    folders = {source for source in copied(DOCKER / "Dockerfile") if (ROOT / source).is_dir()}
    assert folders == packages


def test_the_extras_of_the_image_are_there():
    extras = re.findall(r"^ARG EXTRAS=(.*)$", (DOCKER / "Dockerfile").read_text(), re.MULTILINE)
    assert extras == ["postgres,redis,otel"]
    lines = script("dependencies").wanted(PROJECT["project"], extras[0].split(","))
    assert set(PROJECT["project"]["dependencies"]) < set(lines)
    assert any(line.startswith("psycopg[") for line in lines)
    assert not any(line.startswith("pytest") for line in lines)


def test_an_extra_that_there_is_not_is_refused_by_name():
    with pytest.raises(SystemExit, match="EXTRAS: there is no 'mysql'; expected some of postgres, redis"):
        script("dependencies").wanted(PROJECT["project"], ["postgres", "mysql"])


def test_what_nothing_needs_at_run_time_is_left_out(tmp_path):
    packages = tmp_path / "lib" / "python3.11" / "site-packages"
    kept = ["pabal/ids.py", "sqlalchemy/testing/__init__.py", "one/py.typed", "one/_c.so"]
    gone = ["one/tests/test_it.py", "one/inner/testing/__init__.py", "one/_c.pyi", "one/_c.pyx"]
    for name in (*kept, *gone):
        (packages / name).parent.mkdir(parents=True, exist_ok=True)
        (packages / name).write_text("x")
    assert script("slim").slim(tmp_path) == len(gone)
    assert sorted(
        str(path.relative_to(packages)) for path in packages.rglob("*") if path.is_file()
    ) == sorted(kept)


@contextlib.contextmanager
def answering(answer):
    """The address of somebody who gives this answer to whatever is asked, and what was asked."""
    asked = []

    def serve():
        link, _ = listening.accept()
        with link:
            asked.append(link.recv(4096))
            link.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}", asked
        thread.join(10)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b'HTTP/1.1 200 OK\r\n\r\n{"ready": true}', 0),
        (b'HTTP/1.1 503 Service Unavailable\r\n\r\n{"ready": false, "detail": "standby"}', 0),
        (b'HTTP/1.1 503 Service Unavailable\r\n\r\n{"ready": false, "detail": "starting"}', 1),
        (b"", 1),
    ],
)
def test_who_is_ready_or_stands_by_is_well(answer, code, monkeypatch):
    with answering(answer) as (address, asked):
        monkeypatch.setenv("PABAL_METRICS", address)
        assert script("healthcheck").main([]) == code
    assert asked[0].startswith(b"GET /readyz HTTP/1.0\r\n")


def test_who_is_not_there_is_not_well(capsys):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
    assert script("healthcheck").main([f"{address}/readyz"]) == 1
    assert address in capsys.readouterr().out


def test_what_listens_everywhere_is_asked_here():
    with answering(b"HTTP/1.1 200 OK\r\n\r\n") as (address, asked):
        assert script("healthcheck").main([address.replace("127.0.0.1", "0.0.0.0") + "/healthz"]) == 0
    assert asked[0].startswith(b"GET /healthz ")
