from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from bridge.backplane.link import LinkFigures
from cli import redis_exposition

PAGE = Path(__file__).parents[2] / "docs" / "redis.md"


def test_every_metric_of_the_table_is_told_and_documented():
    figures = LinkFigures()
    figures.up, figures.failures = 1, 3
    figures.calls.add(0.002)
    registry = CollectorRegistry()
    registry.register(redis_exposition.RedisFigure(figures))
    told = generate_latest(registry).decode().splitlines()
    assert "pabal_redis_up 1.0" in told
    assert "pabal_redis_failures_total 3.0" in told
    assert 'pabal_redis_call_seconds_bucket{le="0.0025"} 1.0' in told
    assert "pabal_redis_call_seconds_count 1.0" in told
    for kind, (name, meaning) in zip(
        ("gauge", "counter", "histogram"),
        (redis_exposition.UP, redis_exposition.FAILURES, redis_exposition.CALLS),
        strict=True,
    ):
        assert f"| `{name}` | {kind} | {meaning} |\n" in PAGE.read_text()


def test_it_is_told_beside_what_the_process_tells_and_not_without_a_redis():
    class Own(Collector):
        def collect(self):
            yield GaugeMetricFamily("own", "x", value=1)

    own = Own()
    assert redis_exposition.with_redis(own, None) is own
    names = [one.name for one in redis_exposition.with_redis(own, LinkFigures()).collect()]
    assert names == ["own", "pabal_redis_up", "pabal_redis_failures", "pabal_redis_call_seconds"]
