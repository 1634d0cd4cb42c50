from broker.external.ledger import Ledger


def test_the_longest_prefix_of_whole_batches_is_confirmed_however_acknowledgements_come():
    ledger = Ledger()
    first, second, third = ledger.begin(3, 2), ledger.begin(5, 1), ledger.begin(8, 1)
    assert not ledger.done(second)
    assert not ledger.done(first)
    assert ledger.confirmed == 0
    assert ledger.done(first)
    assert ledger.confirmed == 5
    assert ledger.done(third)
    assert (ledger.confirmed, len(ledger)) == (8, 0)


def test_a_batch_without_messages_is_confirmed_in_its_turn():
    ledger = Ledger()
    first = ledger.begin(1, 1)
    ledger.begin(2, 0)
    assert not ledger.settle()
    assert ledger.done(first)
    assert ledger.confirmed == 2


def test_what_was_cleared_away_confirms_nothing_when_it_is_acknowledged_after_all():
    ledger = Ledger()
    old = ledger.begin(1, 1)
    ledger.clear()
    new = ledger.begin(1, 2)
    assert not ledger.done(old)
    assert not ledger.done(new)
    assert ledger.confirmed == 0
    assert ledger.done(new)
