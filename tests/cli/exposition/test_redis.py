from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from bridge.backplane.link import LinkFigures
from cli.exposition.redis import TABLE, with_redis
from cli.exposition.row import Table


def test_every_metric_of_the_table_is_told():
    figures = LinkFigures()
    figures.up, figures.failures = 1, 3
    figures.calls.add(0.002)
    registry = CollectorRegistry()
    registry.register(Table(TABLE, lambda: figures))
    told = generate_latest(registry).decode().splitlines()
    assert "pabal_redis_up 1.0" in told
    assert "pabal_redis_failures_total 3.0" in told
    assert 'pabal_redis_call_seconds_bucket{le="0.0025"} 1.0' in told
    assert "pabal_redis_call_seconds_count 1.0" in told


def test_it_is_told_beside_what_the_process_tells_and_not_without_a_redis():
    class Own(Collector):
        def collect(self):
            yield GaugeMetricFamily("own", "x", value=1)

    own = Own()
    assert with_redis(own, None) is own
    names = [one.name for one in with_redis(own, LinkFigures()).collect()]
    assert names == ["own", "pabal_redis_up", "pabal_redis_failures", "pabal_redis_call_seconds"]
