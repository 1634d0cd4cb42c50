"""What Prometheus reads of pushes."""

from collections import Counter

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from bridge.push.figures import PushFigures
from bridge.store.push_store import Depth
from cli.exposition.push import push_figure
from cli.pushing import PushNumbers


def _read(numbers):
    registry = CollectorRegistry(auto_describe=False)
    registry.register(push_figure(numbers))
    text = generate_latest(registry).decode()
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_count_is_told_by_its_labels():
    figures = PushFigures(
        sent=Counter(webpush=7), failed=Counter({("fcm", "later"): 2, ("fcm", "gone"): 1}), in_flight=3
    )
    figures.dropped["read"] = 4
    numbers = PushNumbers(figures)
    numbers.look(Depth(5, None))
    assert _read(numbers) == {
        ("pabal_push_jobs",): 5,
        ("pabal_push_oldest_seconds",): 0,
        ("pabal_push_in_flight",): 3,
        ("pabal_push_sent_total", "webpush"): 7,
        ("pabal_push_failed_total", "fcm", "later"): 2,
        ("pabal_push_failed_total", "fcm", "gone"): 1,
        ("pabal_push_dropped_total", "read"): 4,
    }


def test_the_oldest_is_as_old_as_it_has_been_due(monkeypatch):
    monkeypatch.setattr("cli.pushing.time.time", lambda: 1000.5)
    numbers = PushNumbers(PushFigures())
    numbers.look(Depth(1, 990_000))
    assert numbers.oldest_s == 10.5
    numbers.look(Depth(1, 2_000_000))
    assert numbers.oldest_s == 0
