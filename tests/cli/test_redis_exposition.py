from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from bridge.backplane.link import LinkFigures
from cli import redis_exposition
from cli.exposition import rows

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
    assert "\n".join(rows(redis_exposition.TABLE)) in PAGE.read_text()
