"""`pabal doctor`: is everything as it should be, and what to do where it is not."""

from typing import Annotated

import typer

from cli import diagnosis, output
from cli.errors import CliError, UsageError
from cli.flags import Flags, with_settings
from cli.output import Json


@with_settings()
def doctor(
    flags: Flags,
    *,
    role: Annotated[
        str, typer.Option(metavar="ROLE", help=f"Whose set-up: {', '.join(diagnosis.ROLES)}.")
    ] = "serve",
    as_json: Json = False,
) -> None:
    """Check the set-up of a role and say what to do.

    Configuration, data folder, database, keys, clock, ports; of a web process also whether its broker lets it in, of a bridge
    whether the other broker does and keeps sessions, and on PostgreSQL who commits. Nothing is changed.
    """
    if role not in diagnosis.ROLES:
        raise UsageError(f"--role = {role!r} is not right; expected one of {', '.join(diagnosis.ROLES)}")
    findings = diagnosis.examine(flags, role)
    failed = sum(finding.state == "fail" for finding in findings)
    if as_json:
        output.data({"ok": not failed, "checks": [finding._asdict() for finding in findings]})
    else:
        for finding in findings:
            output.line(f"{finding.state:<4}  {finding.check}: {finding.found}")
            if finding.advice is not None:
                output.line(f"      -> {finding.advice}")
    if failed:
        raise CliError(f"{failed} of {len(findings)} checks failed")
