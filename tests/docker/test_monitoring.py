"""Dashboard and alert rules speak of metrics and labels that a real scrape has."""

import asyncio
import json
import re
from contextlib import ExitStack
from urllib.request import urlopen

import pytest
import yaml
from account_fakes import open_world
from compose_files import DOCKER, FILES, compose
from external_fakes import FakeAccounts, FakeOutbox
from prometheus_client.parser import text_string_to_metric_families
from webapi_fakes import FakeChat

from bridge.backplane.link import LinkFigures
from bridge.backplane.plane import NullPlane
from bridge.figures import Figures
from bridge.push.figures import PushFigures
from broker.external.adapter import ExternalBroker
from broker.external.endpoint import parse
from broker.metrics import Metrics
from broker.open_mode import build_open_broker
from cli import metrics, sockets
from cli.address import Address
from cli.exposition import bridge, broker, push, redis, web
from cli.pushing import PushNumbers
from cli.roles.health import Health
from cli.settings import Settings
from pabal.errors import REFUSALS
from webapi.app import Services, close_app, create_app, watched
from webapi.settings import BrokerEndpoint, WebSettings

MONITORING = DOCKER / "monitoring"
RULES = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"][0]["rules"]
DASHBOARD = json.loads((MONITORING / "dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [rule["expr"] for rule in RULES] + [
    target["expr"] for panel in PANELS for target in panel["targets"]
]
# What Prometheus itself adds to each series.
OF_PROMETHEUS = {"instance", "job", "le"}
ROWS = {row.name: row for table in (broker, bridge, push, redis, web) for row in table.TABLE}


async def scrape(*collectors):
    """What Prometheus reads of a role that exposes these."""
    listening = sockets.listen("metrics", Address("127.0.0.1", 0))
    listener = metrics.MetricsListener(Health())
    for collector in collectors:
        listener.expose(collector)
    await listener.start(listening)
    try:
        address = sockets.address_of(listening)
        return await asyncio.to_thread(lambda: urlopen(f"http://{address}/metrics").read().decode())
    finally:
        await listener.stop()


async def of_broker():
    made = build_open_broker(mqtt="127.0.0.1:0")
    await made.start()
    try:
        return await scrape(redis.with_redis(broker.broker_figure(made, Figures()), LinkFigures()))
    finally:
        await made.shutdown()


async def of_bridge():
    relay = Figures()
    made = ExternalBroker(
        parse("mqtt://127.0.0.1:1"), inbound=None, published=lambda _batch: None, presence=None,
        outbox=FakeOutbox(), accounts=FakeAccounts(),
    )  # fmt: skip
    return await scrape(bridge.bridge_figure(made, relay))


async def of_push():
    return await scrape(push.push_figure(PushNumbers(PushFigures())))


async def of_web(folder):
    with ExitStack() as stack:
        accounts = stack.enter_context(open_world(folder)).accounts
        chat, endpoint = FakeChat(), BrokerEndpoint("mqtt://127.0.0.1:1", "ws://127.0.0.1:1/mqtt")
        app = create_app(Services(accounts, chat, chat, NullPlane(lambda: 0)), WebSettings((endpoint,)))
        stack.callback(close_app, app)
        assert app.test_client().get("/v1/sync").status_code == 401
        return await scrape(web.web_figure(watched(app)))


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """Of every role: the families by the names under which Prometheus keeps them."""

    async def all_roles():
        return [
            await of_broker(),
            await of_bridge(),
            await of_push(),
            await of_web(tmp_path_factory.mktemp("web")),
        ]

    found = {}
    for text in asyncio.run(all_roles()):
        for family in text_string_to_metric_families(text):
            ends = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(family.type, [""])
            found |= {f"{family.name}{end}": family for end in ends}
    return found


def named(expression):
    return set(re.findall(r"\bpabal_\w+", expression))


def labels_of(expression):
    matched = re.findall(r"[{,]\s*(\w+)\s*[=!]", expression)
    grouped = [name for group in re.findall(r"by \(([^)]*)\)", expression) for name in group.split(", ")]
    return {*matched, *grouped}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_metric_that_is_looked_at_is_there(expression, samples):
    assert named(expression) or expression.startswith("up{")
    assert named(expression) - samples.keys() == set()


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_label_that_is_looked_at_is_one_of_its_metric(expression):
    metrics_named = {re.sub("_(bucket|sum|count)$", "", name) for name in named(expression)}
    known = OF_PROMETHEUS.union(*(ROWS[name].labels for name in metrics_named))
    assert labels_of(expression) - known == set()


def test_codes_that_are_looked_at_are_codes():
    codes = {code for expression in EXPRESSIONS for code in re.findall(r'code="(\w+)"', expression)}
    assert codes
    assert codes <= {refusal.code for refusal in REFUSALS}


def test_reasons_and_routes_that_are_looked_at_are_there(samples):
    dropped = {name.removeprefix("dropped_") for name in Metrics().snapshot() if name.startswith("dropped_")}
    # The row says what may become of a try; a push that was tried for too long is dropped as that.
    tried = {*re.findall("`([^`]+)`", ROWS["pabal_push_failed_total"].meaning), "too late"}
    reasons = {words for text in EXPRESSIONS for words in re.findall(r'reason=~?"([^"]+)"', text)}
    assert {word for words in reasons for word in words.split("|")} <= dropped | tried
    routes = {route for text in EXPRESSIONS for route in re.findall(r'route!?="([^"]+)"', text)}
    counted = {sample.labels["route"] for sample in samples["pabal_web_answers_total"].samples}
    assert routes
    assert routes <= counted


@pytest.mark.parametrize("table", [broker, bridge, push, redis, web], ids=lambda table: table.__name__)
def test_each_table_has_an_alert_and_a_panel(table):
    own = {row.name for row in table.TABLE}
    for looked_at in ([rule["expr"] for rule in RULES], [t["expr"] for p in PANELS for t in p["targets"]]):
        seen = {re.sub("_(bucket|sum|count)$", "", name) for text in looked_at for name in named(text)}
        assert seen & own


def test_a_quantile_is_one_of_a_histogram():
    histograms = {row.name for row in ROWS.values() if row.kind == "histogram"}
    pattern = r"histogram_quantile\([^)]*\) \(rate\((\w+)_bucket"
    asked = [name for expression in EXPRESSIONS for name in re.findall(pattern, expression)]
    assert len(asked) >= sum("histogram_quantile" in expression for expression in EXPRESSIONS)
    assert set(asked) <= histograms


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_it_is_and_what_to_do(rule):
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert re.fullmatch(r"\d+m", rule["for"])
    assert set(rule["annotations"]) == {"summary", "description"}
    shown = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
    # A label that the expression has summed away would be shown as nothing.
    summed = "(" in rule["expr"]
    assert shown <= labels_of(rule["expr"]) | (set() if summed else OF_PROMETHEUS)
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
