from pabal.histogram import Histogram


def test_each_number_is_in_all_buckets_that_it_is_not_above():
    seen = Histogram((1, 5))
    for value in (0.5, 1, 3, 5, 7):
        seen.add(value)
    assert list(seen.cumulative()) == [(1, 2), (5, 4), (float("inf"), 5)]
    assert (seen.count, seen.total) == (5, 16.5)


def test_nothing_was_counted_yet():
    assert list(Histogram(()).cumulative()) == [(float("inf"), 0)]
