"""What operators and newcomers ask: where to connect, is it well, how is it called."""

import functools
from collections.abc import Callable
from typing import Any

import msgspec
from flask import Flask, Response

from bridge.accounts.service import Accounts
from pabal.errors import Unavailable
from webapi import schemas as s
from webapi.brokers import Brokers
from webapi.docs_page import render
from webapi.ports import RelayClient
from webapi.routing import Answer, Api, Call
from webapi.settings import PushOffer


class OperationRoutes:
    """The views; `register` says which call each of them answers."""

    def __init__(self, accounts: Accounts, relay: RelayClient, brokers: Brokers, push: PushOffer) -> None:
        self._accounts = accounts
        self._relay = relay
        self._brokers = brokers
        self._push = push

    def register(self, api: Api) -> None:
        api.route("GET", "/v1/brokers", self.brokers, {200: s.BrokersBody}, tag="operations")
        api.route("GET", "/v1/push", self.push, {200: s.PushOfferBody}, tag="operations", is_open=True)
        for path, view, answer in (
            ("/healthz", self.healthz, s.HealthBody),
            ("/readyz", self.readyz, s.ReadyBody),
        ):
            api.route("GET", path, view, {200: answer}, tag="operations", is_open=True, counted=False)

    def brokers(self, _call: Call) -> Answer:
        """Where to connect over MQTT, least loaded first."""
        brokers = [s.BrokerBody(tcp=one.tcp, ws=one.ws) for one in self._brokers.all()]
        return Answer(200, s.BrokersBody(brokers=brokers))

    def push(self, _call: Call) -> Answer:
        """By which push services a device can be reached, and the key that browsers subscribe with."""
        return Answer(
            200, s.PushOfferBody(services=list(self._push.services), vapid_key=self._push.vapid_key)
        )

    def healthz(self, _call: Call) -> Answer:
        """This process answers."""
        return Answer(200, s.HealthBody())

    def readyz(self, _call: Call) -> Answer:
        """The database answers and the relay can be reached."""
        check_ready(self._accounts, self._relay)
        return Answer(200, s.ReadyBody())


def check_ready(accounts: Accounts, relay: RelayClient) -> None:
    """Raises: Unavailable, saying what is missing."""
    accounts.ping()
    if not relay.connected():
        raise Unavailable("the relay cannot be reached", retry_after=1)


def add_documents(app: Flask, describe: Callable[[], dict[str, Any]]) -> None:
    """`/openapi.json`, and `/docs` for people, which needs nothing from elsewhere. Both are made when they are first asked
    for: most processes never are.
    """
    as_json = functools.cache(lambda: msgspec.json.encode(describe()))
    as_page = functools.cache(lambda: render(describe()))

    def openapi() -> Response:
        return Response(as_json(), mimetype="application/json")

    def docs() -> Response:
        return Response(as_page(), mimetype="text/html")

    app.add_url_rule("/openapi.json", "openapi", openapi, methods=["GET"])
    app.add_url_rule("/docs", "docs", docs, methods=["GET"])
