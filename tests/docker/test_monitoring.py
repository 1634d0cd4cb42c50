"""Dashboard and alert rules speak of metrics and labels that a real scrape has."""

import asyncio
import json
import re
from urllib.request import urlopen

import pytest
import yaml
from compose_files import DOCKER, FILES, compose
from prometheus_client.parser import text_string_to_metric_families

from bridge.figures import Figures
from broker.open_mode import build_open_broker
from cli import exposition, metrics, sockets
from cli.roles.health import Health
from cli.settings import Address, Settings
from pabal.errors import REFUSALS
from pabal.histogram import Histogram

MONITORING = DOCKER / "monitoring"
RULES = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"][0]["rules"]
DASHBOARD = json.loads((MONITORING / "dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [rule["expr"] for rule in RULES] + [
    target["expr"] for panel in PANELS for target in panel["targets"]
]
# What Prometheus itself adds to each series.
OF_PROMETHEUS = {"instance", "job", "le"}
LABELS = {row.name: row.label for row in exposition.TABLE}


async def scrape():
    broker = build_open_broker(mqtt="127.0.0.1:0")
    await broker.start()
    listening = sockets.listen("metrics", Address("127.0.0.1", 0))
    listener = metrics.MetricsListener(Health())
    listener.expose(exposition.Figure(broker, Figures()))
    await listener.start(listening)
    try:
        address = sockets.address_of(listening)
        return await asyncio.to_thread(lambda: urlopen(f"http://{address}/metrics").read().decode())
    finally:
        await listener.stop()
        await broker.shutdown()


@pytest.fixture(scope="module")
def scraped():
    """The names under which Prometheus keeps what it reads."""
    names = set()
    for family in text_string_to_metric_families(asyncio.run(scrape())):
        match family.type:
            case "counter":
                names.add(f"{family.name}_total")
            case "histogram":
                names |= {f"{family.name}_{end}" for end in ("bucket", "sum", "count")}
            case _:
                names.add(family.name)
    return names


def named(expression):
    return set(re.findall(r"\bpabal_\w+", expression))


def labels_of(expression):
    matched = re.findall(r"[{,]\s*(\w+)\s*[=!]", expression)
    grouped = [name for group in re.findall(r"by \(([^)]*)\)", expression) for name in group.split(", ")]
    return {*matched, *grouped}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_metric_that_is_looked_at_is_there(expression, scraped):
    assert named(expression) or expression.startswith("up{")
    assert named(expression) - scraped == set()


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_label_that_is_looked_at_is_one_of_its_metric(expression):
    metrics_named = {re.sub("_(bucket|sum|count)$", "", name) for name in named(expression)}
    known = OF_PROMETHEUS | {LABELS[name] for name in metrics_named if LABELS[name]}
    assert labels_of(expression) - known == set()


def test_codes_that_are_looked_at_are_codes():
    codes = {code for expression in EXPRESSIONS for code in re.findall(r'code="(\w+)"', expression)}
    assert codes
    assert codes <= {refusal.code for refusal in REFUSALS}


def test_a_quantile_is_one_of_a_histogram():
    histograms = {row.name for row in exposition.TABLE if row.kind == "histogram"}
    assert isinstance(Figures().commits, Histogram)
    for expression in EXPRESSIONS:
        for name in re.findall(r"histogram_quantile\([^)]*\(rate\((\w+)_bucket", expression):
            assert name in histograms


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_it_is_and_what_to_do(rule):
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert re.fullmatch(r"\d+m", rule["for"])
    assert set(rule["annotations"]) == {"summary", "description"}
    shown = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
    # A label that the expression has summed away would be shown as nothing.
    assert shown <= labels_of(rule["expr"]) | ({"instance"} if rule["expr"].startswith("up{") else set())
    settings = set(re.findall(r"\b[a-z]+_[a-z_]+\b", rule["annotations"]["description"]))
    assert settings <= set(Settings.model_fields)


def test_alerts_have_names_of_their_own():
    names = [rule["alert"] for rule in RULES]
    assert len(set(names)) == len(names) >= 8


def test_panels_do_not_lie_on_each_other_and_have_ids_of_their_own():
    places = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & places, panel["title"]
        places |= cells
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)


def test_the_dashboard_asks_for_its_data_source():
    assert [variable["type"] for variable in DASHBOARD["templating"]["list"]] == ["datasource"]
    assert {panel["datasource"]["uid"] for panel in PANELS} == {"${datasource}"}


def test_whom_prometheus_scrapes_are_services_that_have_metrics():
    jobs = yaml.safe_load((MONITORING / "prometheus.yaml").read_text())["scrape_configs"]
    asked = {name for job in jobs for config in job["dns_sd_configs"] for name in config["names"]}
    listening = {
        name
        for file in FILES
        for name, service in compose(file)["services"].items()
        if {"PABAL_METRICS", "PABAL_WEB_METRICS"} & set(service.get("environment", {}))
    }
    # The second web process of the stack with mosquitto has the name of the first as well.
    assert asked == listening - {"webapi2"}
