"""The pages have the tables, and no metric that is in none."""

import re
from pathlib import Path

import pytest

from cli.exposition.__main__ import PAGES
from cli.exposition.row import markdown

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_the_table_of_its_role_and_no_other_metric(page):
    text, rows = (ROOT / page).read_text(), markdown(PAGES[page])
    assert "\n".join(rows) in text, "python -m cli.exposition prints it"
    assert len(re.findall(r"^\| `pabal_", text, re.MULTILINE)) == len(rows) - 2


def test_no_metric_is_in_a_table_twice():
    for table in PAGES.values():
        names = [row.name for row in table]
        assert len(set(names)) == len(names)
