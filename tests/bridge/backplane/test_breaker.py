from bridge.backplane.breaker import LONGEST_PAUSE_S, Breaker

CALL_S = 0.1


def test_whoever_asks_is_let_through_while_it_answers():
    breaker = Breaker()
    assert breaker.admits(0.0, CALL_S)
    assert not breaker.succeeded()
    assert breaker.is_closed
    assert breaker.admits(0.0, CALL_S)


def test_after_a_failure_nobody_is_let_through_for_a_while_and_then_one():
    breaker = Breaker()
    breaker.failed(0.0, 0.0, 1.0)
    assert not breaker.admits(0.05, CALL_S)
    assert breaker.admits(0.11, CALL_S)
    assert not breaker.admits(0.12, CALL_S), "one asks for all"
    assert breaker.admits(0.22, CALL_S), "and when nothing was heard of it, the next one"


def test_the_pause_doubles_up_to_a_bound_and_chance_takes_at_most_half_of_it():
    breaker, now, pauses = Breaker(), 0.0, []
    for _ in range(8):
        breaker.failed(now, now, 1.0)
        start = now
        while not breaker.admits(now, CALL_S):
            now += 0.01
        pauses.append(round(now - start, 1))
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, LONGEST_PAUSE_S, LONGEST_PAUSE_S, LONGEST_PAUSE_S]
    breaker.failed(now, now, 0.0)
    assert not breaker.admits(now + LONGEST_PAUSE_S / 2 - 0.01, CALL_S)
    assert breaker.admits(now + LONGEST_PAUSE_S / 2 + 0.01, CALL_S)


def test_many_calls_that_were_under_way_together_are_one_failure():
    breaker = Breaker()
    breaker.failed(0.0, 0.1, 1.0)
    assert [breaker.failed(0.05, 0.11, 1.0) for _ in range(50)] == [False] * 50
    assert breaker.admits(0.21, CALL_S), "the pause is still the first one"


def test_people_are_told_once_that_it_is_away_and_once_that_it_is_back():
    breaker = Breaker()
    assert not breaker.failed(0.0, 0.0, 0.0), "one failure may be a moment's"
    assert breaker.failed(1.0, 1.0, 0.0)
    assert not breaker.failed(2.0, 2.0, 0.0)
    assert breaker.succeeded()
    assert not breaker.succeeded()


def test_a_failure_that_was_not_told_is_not_told_to_be_over():
    breaker = Breaker()
    breaker.failed(0.0, 0.0, 0.0)
    assert not breaker.succeeded()
    breaker.failed(1.0, 1.0, 0.0)
    assert not breaker.succeeded()
