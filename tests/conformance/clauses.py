"""The normative statements of both standards by number, and why those without a test have none.

`python tests/conformance/clauses.py` writes the tables of docs/conformance.md; a test holds the page to them.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "conformance.md"
BEGIN, END = "<!-- clauses: made by tests/conformance/clauses.py -->", "<!-- end of clauses -->"

# How many statements each section has, which are numbered from 1; `without` are numbers that the standard leaves out.
_SECTIONS = {
    "v3": "1.5.3:3 2.2.2:2 2.3.1:7 3.1.0:2 3.1.2:24 3.1.3:11 3.1.4:5 3.2.0:1 3.2.2:6 3.3.1:12 3.3.2:3 3.3.4:1 3.3.5:2"
    " 3.6.1:1 3.8.1:1 3.8.3:4 3.8.4:6 3.9.3:2 3.10.1:1 3.10.3:2 3.10.4:6 3.12.4:1 3.14.1:1 3.14.4:3 4.1.0:2 4.3.1:1"
    " 4.3.2:2 4.3.3:2 4.4.0:1 4.5.0:2 4.6.0:6 4.7.1:3 4.7.2:1 4.7.3:4 4.8.0:2 6.0.0:4",
    "v5": "1.5.4:3 1.5.5:1 1.5.7:1 2.1.3:1 2.2.1:6 2.2.2:1 3.1.0:2 3.1.2:30 3.1.3:12 3.1.4:6 3.2.0:2 3.2.2:22 3.3.1:13"
    " 3.3.2:20 3.3.4:10 3.4.2:3 3.5.2:3 3.6.1:1 3.6.2:3 3.7.2:3 3.8.1:1 3.8.3:5 3.8.4:8 3.9.2:2 3.9.3:2 3.10.1:1"
    " 3.10.3:2 3.10.4:6 3.11.2:2 3.11.3:2 3.12.4:1 3.14.0:1 3.14.1:1 3.14.2:4 3.14.4:3 3.15.1:1 3.15.2:3 4.1.0:2"
    " 4.2.0:1 4.3.1:1 4.3.2:5 4.3.3:13 4.4.0:2 4.5.0:2 4.6.0:6 4.7.0:1 4.7.1:2 4.7.2:1 4.7.3:4 4.8.2:6 4.9.0:3"
    " 4.12.0:7 4.12.1:2 4.13.1:1 4.13.2:1 6.0.0:4",
}
_WITHOUT = {"v3": "", "v5": "2.2.1-1 3.1.3-10 3.3.4-5 4.8.2-5"}
_CLIENT = {
    "v3": "2.3.1-2 2.3.1-3 3.1.2-23 4.5.0-2 6.0.0-3",
    "v5": "3.1.2-20 3.1.2-21 3.1.2-30 3.2.2-4 3.2.2-5 3.2.2-11 3.2.2-14 3.2.2-18 3.2.2-21 3.3.2-10 4.5.0-2 4.6.0-1 4.6.0-2"
    " 4.6.0-3 4.6.0-4 4.12.0-3 6.0.0-3",
}
_OTHER = {
    "v3": {
        "3.2.2-6": "every refusal of ours has a return code",
        "4.8.0-2": "an error inside the server cannot be caused from outside",
    },
    "v5": {
        "3.2.2-9": "all three QoS are served",
        "3.2.2-10": "all three QoS are served",
        "3.2.2-12": "all three QoS are served",
        "3.2.2-13": "retained messages are served",
        "3.14.2-1": "the codes are a closed list in the source",
        "3.15.2-1": "no AUTH is ever sent",
        "3.15.2-2": "no AUTH is ever sent",
        "3.15.2-3": "no AUTH is ever sent",
        "4.2.0-1": "every test here does it",
        "4.12.0-2": "enhanced authentication is refused",
        "4.12.0-4": "enhanced authentication is refused",
        "4.12.0-5": "enhanced authentication is refused",
        "4.12.1-1": "enhanced authentication is refused",
        "4.12.1-2": "enhanced authentication is refused",
    },
}
_NAMES = {"v3": "MQTT 3.1.1", "v5": "MQTT 5.0"}


def all_clauses(version: str) -> list[str]:
    without = set(_WITHOUT[version].split())
    return [
        number
        for section, count in (part.split(":") for part in _SECTIONS[version].split())
        for n in range(1, int(count) + 1)
        if (number := f"{section}-{n}") not in without
    ]


def tested(version: str) -> dict[str, list[str]]:
    """The tests of each clause, from their sources."""
    found: dict[str, list[str]] = {}
    for path in sorted(HERE.glob("test_*.py")):
        for name, numbers in _marks(path, version):
            for number in numbers:
                found.setdefault(number, []).append(name)
    return found


def _marks(path: Path, version: str) -> Iterator[tuple[str, list[str]]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.AsyncFunctionDef):
            continue
        for mark in node.decorator_list:
            if (
                isinstance(mark, ast.Call)
                and isinstance(mark.func, ast.Attribute)
                and mark.func.attr == "clauses"
            ):
                for keyword in mark.keywords:
                    if keyword.arg == version and isinstance(keyword.value, ast.Constant):
                        yield node.name, str(keyword.value.value).split()


def untested(version: str) -> tuple[list[str], dict[str, str], list[str]]:
    """What only a client can do; what cannot be tested from outside, and why; what is left."""
    has = tested(version)
    open_ones = [number for number in all_clauses(version) if number not in has]
    client = [number for number in open_ones if number in _CLIENT[version].split()]
    other = {number: _OTHER[version][number] for number in open_ones if number in _OTHER[version]}
    return client, other, [number for number in open_ones if number not in client and number not in other]


def tables() -> str:
    lines = [BEGIN, ""]
    for version, name in _NAMES.items():
        has, (client, other, left) = tested(version), untested(version)
        whole = all_clauses(version)
        lines += [
            f"### {name}: {len(has)} of {len(whole)} statements have a test",
            "",
            f"- {len(client)} say what a client does: {', '.join(client)}.",
            f"- {len(other)} have nothing to be seen from outside: "
            + "; ".join(f"{number} ({why})" for number, why in other.items())
            + ".",
            f"- {len(left)} have no test yet: {', '.join(left) or 'none'}.",
            "",
            "| clause | test |",
            "|---|---|",
        ]
        for number in whole:
            if number in has:
                lines.append(
                    f"| {number} | {'<br>'.join(one.removeprefix('test_') for one in has[number])} |"
                )
        lines.append("")
    return "\n".join([*lines, END])


def main() -> None:
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, behind = rest.partition(END)
    PAGE.write_text(before + tables() + behind)


if __name__ == "__main__":
    main()
