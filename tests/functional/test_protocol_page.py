"""docs/protocol.md says of every REST call and every op whether it is there, and is right."""

import re
from pathlib import Path

import httpx2
import pytest

from pabal import errors
from pabal.messages import OPS

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text("utf-8")
PLANNED = "**[planned]**"
CALL = re.compile(r"((?:`?(?:GET|POST|PUT|PATCH|DELETE)`?,? ?)+)(/[a-z0-9/@{}_.]+)")


def calls(*, planned):
    """Method and path of every call that stands in a row of section 7 with, or without, the mark."""
    found = set()
    section = PAGE.split("## 7. REST")[1].split("## 8.")[0]
    for row in section.splitlines():
        if not row.startswith("| `") or (PLANNED in row.split("|")[1]) is not planned:
            continue
        for methods, path in CALL.findall(row.split("|")[1]):
            found |= {(method, path) for method in re.findall(r"[A-Z]+", methods)}
    return found


@pytest.mark.functional
def test_the_server_has_the_calls_that_the_page_says_are_there_and_no_other(server):
    described = httpx2.get(f"http://127.0.0.1:{server.http}/openapi.json", timeout=60).json()["paths"]
    there = {(method.upper(), path) for path, ways in described.items() for method in ways}
    documents = {("GET", "/openapi.json"), ("GET", "/docs")}
    promised = {(method, path) for method, path in calls(planned=False)}
    assert {call for call in there | documents if call[1].startswith("/v1")} == {
        call for call in promised if call[1].startswith("/v1")
    }
    assert not there & calls(planned=True)


def test_the_page_has_a_row_for_every_op_without_the_mark_and_marks_the_others():
    section = PAGE.split("## 4. Requests")[1].split("## 5.")[0]
    rows = [row.split("|")[1] for row in section.splitlines() if row.startswith("| `")]
    there = {op for row in rows if PLANNED not in row for op in re.findall(r"`([a-z.]+)`", row)}
    assert there == set(OPS)


def test_the_page_has_every_code_with_its_status():
    section = PAGE.split("## 8. Codes")[1].split("## 9.")[0]
    rows = {
        (code, int(status)) for code, status in re.findall(r"^\| `(\w+)` \| (\d+) \|", section, re.MULTILINE)
    }
    assert rows == {(refusal.code, refusal.http_status) for refusal in errors.REFUSALS}
