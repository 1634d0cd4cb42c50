"""`pabal doctor`: is everything as it should be, and what to do where it is not."""

from cli import diagnosis, output
from cli.errors import CliError
from cli.flags import Flags, with_settings
from cli.output import Json


@with_settings()
def doctor(flags: Flags, *, as_json: Json = False) -> None:
    """Check the set-up and say what to do.

    Configuration, data folder, database, keys, clock, ports. Nothing is changed.
    """
    findings = diagnosis.examine(flags)
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
