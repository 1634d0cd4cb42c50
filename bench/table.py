"""Figures for people: a row for each part, a column for each figure that any of them has."""

_ERRORS = ("lost", "unacknowledged", "refused", "out_of_order", "cut_off", "twice")


def is_sound(figures: dict) -> bool:
    """Nothing was lost, refused or out of order, as far as the part counts it."""
    return not any(figures.get(name) for name in _ERRORS)


def text(found: list[tuple[str, dict]]) -> str:
    shown = [
        (name, {key: value for key, value in figures.items() if value is not None}) for name, figures in found
    ]
    columns = list(dict.fromkeys(key for _name, figures in shown for key in figures))
    columns = [
        key for key in columns if key not in _ERRORS or any(figures.get(key) for _name, figures in shown)
    ]
    rows = [["", *(name for name, _figures in shown)]]
    rows += [[column, *(_cell(figures.get(column)) for _name, figures in shown)] for column in columns]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
            ]
        )
        for row in rows
    )


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case int():
            return f"{value:,}"
    return str(value)
