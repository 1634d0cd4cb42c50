"""docker/first-start makes secrets that nobody else reads, once."""

import os
import stat

from compose_files import FILES, variables


def everything(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_made_is_for_its_owner_alone(first_start):
    folder = first_start()
    assert sorted(path.name for path in folder.iterdir()) == [".env", "secrets", "tls"]
    for path in [folder / ".env", *folder.rglob("secrets/*")]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    for name in ("secrets", "tls"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o700


def test_the_containers_run_as_who_owns_the_secrets_and_never_as_root(first_start):
    folder = first_start()
    told = dict(line.split("=") for line in (folder / ".env").read_text().splitlines() if "=" in line)
    owner = str((folder / "secrets" / "database_url").stat().st_uid)
    assert told["PABAL_UID"] == owner == str(os.getuid() or 10001)
    assert told["PABAL_UID"] != "0"
    known = {name for file in FILES for name in variables(file)}
    assert set(told) - known == {"COMPOSE_PROJECT_NAME"}


def test_a_second_run_changes_nothing(first_start):
    before = everything(first_start())
    (next(path for path in before if path.name == ".env")).write_text("PABAL_HOST=chat.example\n")
    before = everything(first_start())
    assert everything(first_start()) == before


def test_a_secret_that_is_missing_is_made_again_and_the_others_stay(first_start):
    folder = first_start()
    before = everything(folder)
    gone = folder / "secrets" / "service_secret"
    gone.unlink()
    after = everything(first_start())
    assert {path for path in after if after[path] != before[path]} == {gone}


def test_passwords_are_long_and_differ(first_start):
    secrets = first_start() / "secrets"
    made = [(secrets / name).read_text().strip() for name in ("postgres_password", "service_secret")]
    assert all(len(password) >= 40 for password in made)
    assert len(set(made)) == len(made)
    assert made[0] in (secrets / "database_url").read_text()
