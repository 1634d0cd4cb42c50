"""The table of clauses is true, and its page is that of the tests that are there."""

import clauses
import pytest


@pytest.mark.parametrize("version", ["v3", "v5"])
def test_every_clause_that_is_named_is_one_of_the_standard(version):
    assert set(clauses.tested(version)) <= set(clauses.all_clauses(version))


@pytest.mark.parametrize("version", ["v3", "v5"])
def test_no_clause_with_a_test_is_said_to_have_none(version):
    said = set(clauses._CLIENT[version].split()) | set(clauses._OTHER[version])
    assert said <= set(clauses.all_clauses(version))
    assert not said & set(clauses.tested(version))


def test_the_page_is_up_to_date():
    assert clauses.tables() in clauses.PAGE.read_text(), "run: python tests/conformance/clauses.py"
