from array import array

from cli.load.tally import Tally, by_second, percentile, summary


def test_percentiles_are_milliseconds_of_what_was_measured_in_microseconds():
    latencies = [n * 1000 for n in range(100, 0, -1)]
    assert summary(latencies) == {"p50_ms": 51.0, "p99_ms": 100.0, "max_ms": 100.0}


def test_nothing_has_no_percentiles():
    assert percentile([], 0.5) is None


def test_each_second_has_a_summary_of_its_own_and_the_unfinished_one_none():
    tally = Tally(latencies=array("q", [1000, 3000, 2000, 7000, 9000]), marks=[3, 3, 4])
    assert by_second(tally) == [
        {"p50_ms": 2.0, "p99_ms": 3.0, "max_ms": 3.0},
        {"p50_ms": None, "p99_ms": None, "max_ms": None},
        {"p50_ms": 7.0, "p99_ms": 7.0, "max_ms": 7.0},
    ]
