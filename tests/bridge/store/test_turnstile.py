"""The seldom writer gets in beside one that never stops."""

import threading
import time

import pytest
from sqlalchemy import text

from bridge.store.engine import open_engine
from bridge.store.turnstile import Turnstile, first_in_line, of

DEADLINE_S = 60


@pytest.fixture
def turnstile(tmp_path):
    return Turnstile(tmp_path / "pabal.sqlite3")


def test_while_it_is_held_nobody_passes_and_nobody_else_holds_it(turnstile):
    reached: list[str] = []
    inside, leave = threading.Event(), threading.Event()

    def hold(name: str) -> None:
        with turnstile.held():
            reached.append(name)
            inside.set()
            assert leave.wait(DEADLINE_S)

    def go_through() -> None:
        turnstile.passed()
        reached.append("passed")

    first = threading.Thread(target=hold, args=("first",))
    first.start()
    assert inside.wait(DEADLINE_S)
    others = [threading.Thread(target=hold, args=("second",)), threading.Thread(target=go_through)]
    for other in others:
        other.start()
    assert reached == ["first"]
    leave.set()
    for thread in (first, *others):
        thread.join(DEADLINE_S)
    assert sorted(reached) == ["first", "passed", "second"]


def test_it_is_let_go_when_what_was_done_fails(turnstile):
    with pytest.raises(ZeroDivisionError), turnstile.held():
        raise ZeroDivisionError
    turnstile.passed()


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_an_account_is_written_while_the_committer_never_rests(url):
    busy, seldom = open_engine(url, pool_size=1, gives_way=True), open_engine(url, pool_size=1)
    stop = threading.Event()
    commits = [0]
    let_by: list[int] = []

    def commit_without_end() -> None:
        while not stop.is_set():
            with busy.begin() as connection:
                connection.execute(text("UPDATE account SET about = 'x' WHERE user_id = 'alice'"))
                # Long enough that the lock is taken whenever somebody looks.
                time.sleep(0.005)
            commits[0] += 1

    thread = threading.Thread(target=commit_without_end)
    thread.start()
    try:
        for number in range(20):
            with first_in_line(seldom):
                before = commits[0]
                with seldom.begin() as connection:
                    connection.execute(
                        text("UPDATE account SET about = :n WHERE user_id = 'bob'"), {"n": str(number)}
                    )
                    let_by.append(commits[0] - before)
    finally:
        stop.set()
        thread.join(DEADLINE_S)
        busy.dispose()
        seldom.dispose()
    # Each waits for the transaction that is running; the one before that may only just be counted.
    assert max(let_by) <= 2


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_database_that_lets_several_write_has_none(url):
    engine = open_engine(url, gives_way=True)
    assert of(engine.url) is None
    with first_in_line(engine), engine.begin() as connection:
        connection.execute(text("UPDATE account SET about = 'x' WHERE user_id = 'bob'"))
    engine.dispose()
