"""How people stand to one another, as the topic rules and profiles ask for it."""

import pytest
from sqlalchemy import insert, update

from bridge.store.read_store import ReadStore
from bridge.store.tables import account, block, contact, conversation, member
from pabal.ids import UserId
from pabal.privacy import DEFAULT, Privacy

ALICE, BOB, CAROL = UserId("alice"), UserId("bob"), UserId("carol")


@pytest.fixture
def relation(engine):
    def ask(viewer: UserId, of: UserId):
        with ReadStore(engine).snapshot() as snapshot:
            return snapshot.relation(viewer, of)

    return ask


@pytest.fixture
def write(engine):
    def run(*statements):
        with engine.begin() as connection:
            for statement in statements:
                connection.execute(statement)

    return run


def group(conv: str, mode: str, *users: str):
    yield insert(conversation).values(conv_id=conv, kind="group", mode=mode, head=1, ordinal=0, created_ts=0)
    for user in users:
        yield insert(member).values(
            conv_id=conv, user_id=user, from_id=1, visible_from=1, role="member",
            delivered_upto=0, read_upto=0, read_ordinal=0,
        )  # fmt: skip


def test_strangers_have_nothing_to_do_with_each_other(relation):
    found = relation(ALICE, BOB)
    assert found.privacy == DEFAULT
    assert not (found.contact)
    assert not (found.accepts)
    assert not (found.is_apart)
    assert not (found.shares_group)
    assert not found.shows_profile
    assert [found.allows(who) for who in ("everyone", "contacts", "nobody")] == [True, False, False]


def test_a_contact_is_whom_that_person_has_accepted(relation, write):
    write(insert(contact).values(user_id="bob", other_id="alice", state="accepted", ts=1))
    seen = relation(ALICE, BOB)
    assert (seen.contact, seen.accepts, seen.shows_profile) == (True, False, True)
    assert [seen.allows(who) for who in ("everyone", "contacts", "nobody")] == [True, True, False]
    back = relation(BOB, ALICE)
    assert (back.contact, back.accepts, back.shows_profile) == (False, True, False)


def test_a_request_is_no_contact_yet(relation, write):
    write(insert(contact).values(user_id="bob", other_id="alice", state="requested", ts=1))
    assert relation(ALICE, BOB).contact is False


def test_a_block_keeps_both_apart(relation, write):
    write(
        insert(contact).values(user_id="bob", other_id="alice", state="accepted", ts=1),
        insert(block).values(user_id="alice", blocked_id="bob", ts=1),
    )
    mine, theirs = relation(ALICE, BOB), relation(BOB, ALICE)
    assert (mine.blocks, mine.blocked, theirs.blocks, theirs.blocked) == (True, False, False, True)
    assert not (mine.shows_profile)
    assert not (mine.allows("everyone"))
    assert not (theirs.allows("everyone"))


@pytest.mark.parametrize(("mode", "shares"), [("small", True), ("large", False)])
def test_a_small_group_brings_people_together(relation, write, mode, shares):
    write(*group("gaaaaaaaaaaaa", mode, "alice", "bob"))
    assert (relation(ALICE, BOB).shares_group, relation(ALICE, BOB).shows_profile) == (shares, shares)
    assert relation(ALICE, CAROL).shares_group is False


@pytest.mark.parametrize("left", ["alice", "bob"])
def test_a_group_that_one_of_them_left_does_not_count(relation, write, left):
    write(*group("gaaaaaaaaaaaa", "small", "alice", "bob"))
    write(update(member).where(member.c.user_id == left).values(to_id=1))
    assert relation(ALICE, BOB).shares_group is False


def test_a_direct_conversation_is_no_group(relation, write):
    write(*group("alice~bob", "small", "alice", "bob"))
    write(update(conversation).values(kind="direct"))
    assert relation(ALICE, BOB).shares_group is False


def test_what_somebody_has_chosen_comes_along(relation, write):
    write(update(account).where(account.c.user_id == "bob").values(privacy='{"write":"contacts"}'))
    assert relation(ALICE, BOB).privacy == Privacy(write="contacts")


@pytest.mark.parametrize("state", ["disabled", "deleted"])
def test_there_is_nobody_without_an_active_account(relation, write, state):
    write(update(account).where(account.c.user_id == "bob").values(state=state))
    assert relation(ALICE, BOB) is None
    assert relation(ALICE, UserId("nobody")) is None
