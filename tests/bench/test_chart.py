import sys
import xml.etree.ElementTree as ET
from importlib import util
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / "bench" / "chart.py"


@pytest.fixture(scope="module")
def chart():
    """The bench is scripts beside each other and no package."""
    spec = util.spec_from_file_location("bench_chart", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def of(p50, p99, slowest):
    return {"p50_ms": p50, "p99_ms": p99, "max_ms": slowest}


def test_each_second_is_a_point_of_each_line_and_a_silent_one_is_none(chart):
    seconds = [of(1, 2, 3), of(None, None, None), of(4, 50, 600)]
    drawn = ET.fromstring(chart.draw(seconds, [], "a & b", "here"))
    lines = [line.get("points").split() for line in drawn.findall("{*}polyline")]
    assert [len(points) for points in lines] == [2, 2, 2]
    heights = [float(points[-1].split(",")[1]) for points in lines]
    assert heights == sorted(heights), "slowest above p99 above p50"


def test_a_checkpoint_is_a_bar_where_it_began_as_high_as_it_was_long(chart):
    seconds = [of(1, 2, 3)] * 10
    taken = [chart.Checkpoint(2.5, 10.0, "PASSIVE"), chart.Checkpoint(5.0, 40.0, "RESTART")]
    drawn = ET.fromstring(chart.draw(seconds, taken, "title", "here"))
    bars = [bar for bar in drawn.findall("{*}rect") if bar.get("fill") != "#ffffff"]
    short, long = ((float(bar.get("x")), float(bar.get("height"))) for bar in bars)
    assert short[1] * 4 == pytest.approx(long[1])
    assert short[0] < long[0]


def test_nothing_measured_is_an_empty_drawing(chart):
    assert ET.fromstring(chart.draw([], [], "title", "here")) is not None
