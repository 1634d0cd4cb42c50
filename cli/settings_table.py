"""The table of docs/configuration.md, made from the settings: `python -m cli.settings_table` prints it."""

from cli import configuration
from cli.settings import Settings


def rows() -> list[str]:
    """One line of Markdown for each setting."""
    lines = ["| flag | variable | key | default | what it is | values |", "|---|---|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        extra = field.json_schema_extra
        expected = extra["expected"] if isinstance(extra, dict) else ""
        cells = (
            f"`{configuration.flag(name)}`",
            f"`{configuration.variable(name)}`",
            f"`{name}`",
            _shown(field.default),
            str(field.description),
            str(expected),
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return lines


def _shown(default: object) -> str:
    match default:
        case None | [] | {}:
            return ""
        case bool():
            return "`on`" if default else "`off`"
    return f"`{default}`"


if __name__ == "__main__":
    print("\n".join(rows()))  # noqa: T201 -- what it is for
