"""`pabal db …`: migrations, checks and backups of the database."""

import sqlite3
from pathlib import Path
from typing import Annotated

import typer

from bridge.build import restore
from bridge.store import maintenance
from bridge.store.engine import open_engine
from cli import database, output
from cli.errors import CliError
from cli.flags import DATABASE, Flags, with_settings
from cli.output import Json

app = typer.Typer(help="The database: upgrade, check, backup, restored.", no_args_is_help=True)


@app.command("upgrade")
@with_settings(*DATABASE)
def upgrade(flags: Flags, *, as_json: Json = False) -> None:
    """Bring the database to this version's schema.

    `pabal serve` does so by itself for SQLite, and never for PostgreSQL. No server may run.
    """
    settings = flags.load().settings
    with database.alone(settings):
        changed = database.upgrade(settings)
    if as_json:
        output.data({"database": settings.database_shown, "upgraded": changed})
    else:
        output.line("the database was upgraded" if changed else "the database is up to date")


@app.command("check")
@with_settings(*DATABASE)
def check(flags: Flags, *, as_json: Json = False) -> None:
    """Look whether the database is sound.

    SQLite's file, and that all numbers are dense. Safe beside a running server.
    """
    settings = flags.load().settings
    database.require_existing(settings)
    engine = open_engine(settings.url, read_only=True, bounded=False)
    try:
        findings = maintenance.check(engine)
    finally:
        engine.dispose()
    broken = sum(bool(finding.breaches) for finding in findings)
    if as_json:
        output.data(
            {"ok": not broken, "checks": [{"rule": f.rule, "breaches": f.breaches} for f in findings]}
        )
    else:
        for finding in findings:
            output.line(f"{'FAIL' if finding.breaches else 'ok  '}  {finding.rule}")
            for place in finding.breaches:
                output.line(f"        not so: {place}")
    if broken:
        raise CliError(
            f"{broken} of {len(findings)} checks failed", "keep a copy of the folder, then restore a backup"
        )


@app.command("backup")
@with_settings(*DATABASE)
def backup(
    flags: Flags,
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; must not exist yet.")],
    as_json: Json = False,
) -> None:
    """Copy the database as it is now.

    SQLite only. Safe beside a running server.
    """
    settings = flags.load().settings
    if not settings.is_sqlite:
        raise CliError(
            "PostgreSQL has tools of its own for this: pg_dump --format=custom, or a base backup with its log"
        )
    database.require_existing(settings)
    try:
        size = maintenance.backup(settings.database_file, file)
    except FileExistsError:
        raise CliError(f"{file} exists already", "choose another name, or move it away") from None
    except OSError as error:
        raise CliError(
            f"{file} cannot be written: {error.strerror}", "choose a folder that you may write"
        ) from None
    except sqlite3.Error as error:
        raise CliError(f"the database could not be copied: {error}", "see pabal db check") from None
    if as_json:
        output.data({"file": str(file), "bytes": size})
    else:
        output.line(f"{file} has {size} bytes")


@app.command("restored")
@with_settings(*DATABASE)
def restored(flags: Flags, *, as_json: Json = False) -> None:
    """Say that the database was restored from a backup.

    It gets a new epoch, so that devices, which may have seen what the backup has not, start over from a snapshot.
    No server may run.
    """
    settings = flags.load().settings
    database.require_existing(settings)
    with database.alone(settings):
        epoch = restore(settings.url, settings.witness, because="an operator says that it was restored")
    if as_json:
        output.data({"database": settings.database_shown, "epoch": epoch})
    else:
        output.line(f"the database has the new epoch {epoch}; devices start over from a snapshot")
