"""What people let others do and see."""

import pytest

from pabal import privacy
from pabal.errors import BadRequest
from pabal.privacy import DEFAULT, Privacy, PrivacyPatch


def test_at_first_everybody_may_write_and_only_contacts_see_when_one_is_online():
    assert Privacy(
        write="everyone",
        groups="everyone",
        presence="contacts",
        last_seen="contacts",
        read_receipts=True,
        search=True,
    ) == privacy.parse(None)


def test_what_is_as_for_everybody_takes_no_place():
    assert privacy.dump(DEFAULT) is None


def test_what_is_kept_is_read_again():
    chosen = Privacy(
        write="contacts", groups="contacts", presence="nobody", last_seen="everyone",
        read_receipts=False, search=False,
    )  # fmt: skip
    assert privacy.parse(privacy.dump(chosen)) == chosen


def test_a_later_version_may_have_kept_more():
    assert privacy.parse('{"write":"contacts","colour":"green"}') == Privacy(write="contacts")


def test_a_change_leaves_the_rest_as_it_was():
    old = Privacy(write="contacts", search=False)
    patch = PrivacyPatch(write="everyone", presence="nobody")
    assert privacy.changed(old, patch) == Privacy(presence="nobody", search=False)


def test_a_document_is_read():
    assert privacy.read({"write": "contacts", "search": False}) == PrivacyPatch(
        write="contacts", search=False
    )


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"write": "nobody"}, "privacy.write"),
        ({"search": True, "groups": 1}, "privacy.groups"),
        ({"presence": None}, "privacy.presence"),
        ({"read_receipts": "yes"}, "privacy.read_receipts"),
        ({"colour": "green"}, "privacy.colour"),
        ("contacts", "privacy"),
        (None, "privacy"),
    ],
)
def test_what_cannot_be_is_refused_and_named(value, field):
    with pytest.raises(BadRequest) as caught:
        privacy.read(value)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("one", "other"),
    [("Alice", "ALICE"), ("Straße", "STRASSE"), ("\uff21lice", "alice"), ("Émile", "E\u0301mile")],
)
def test_names_are_compared_without_their_case_and_width(one, other):
    assert privacy.folded(one) == privacy.folded(other)


def test_what_is_compared_has_a_bound():
    assert len(privacy.folded("\ufdfa" * 64)) == privacy.FOLDED_MAX
