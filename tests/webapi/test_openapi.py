"""The description is held against the application: no fault, and no status that is not in it."""

import itertools

import pytest
import schemathesis
from account_fakes import PASSWORD
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks

from pabal.errors import Unauthorized
from webapi.docs_page import render

# What the description has no words for: names of others, ids of conversations, rules between fields.
NOT_SAID = [checks.positive_data_acceptance, checks.negative_data_rejection]
EXAMPLES = 10


class Asker:
    """Somebody who is logged in; somebody else when a call has ended that, or deleted the account."""

    def __init__(self, web):
        self._web = web
        self._names = (f"fuzzed{number}" for number in itertools.count())
        self._token = None

    def token(self):
        if self._token is None or not self._is_let_in():
            name = next(self._names)
            self._web.world.accounts.sign_up(name, PASSWORD)
            self._token = self._web.login(name)
        return self._token

    def _is_let_in(self):
        try:
            self._web.world.accounts.authenticate_bearer(self._token)
        except Unauthorized:
            return False
        return True


@pytest.mark.timeout(900)  # some thousand requests
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_whatever_is_asked_is_answered_as_the_description_says(open_web, mode):
    web = open_web(rate_limits=False)
    asker = Asker(web)
    document = web.call("GET", "/openapi.json").json
    schema = schemathesis.openapi.from_wsgi("/openapi.json", web.app)
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) == sum(len(calls) for calls in document["paths"].values()) > 18
    for operation in operations:
        if mode is GenerationMode.NEGATIVE and not (list(operation.iter_parameters()) or operation.body):
            continue  # nothing is asked of it that could be wrong

        @settings(
            max_examples=EXAMPLES,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def hold(case):
            if isinstance(case.query, dict) and case.query.get("wait"):
                case.query["wait"] = 0
            token = asker.token()
            case.call_and_validate(headers={"Authorization": f"Bearer {token}"}, excluded_checks=NOT_SAID)

        hold()


def test_the_description_needs_a_login_where_the_server_does(web):
    document = web.call("GET", "/openapi.json").json
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    for path, calls in document["paths"].items():
        for method, call in calls.items():
            asked = path.format(
                user="bob", device="phone", conv="@bob", code="code", message_id="1", emoji="+"
            )
            answer = web.call(method.upper(), asked, **({} if method in {"get", "delete"} else {"json": {}}))
            assert (answer.status_code == 401) == (call.get("security") != []), (method, path)


def test_every_refusal_is_described_as_a_problem_document(web):
    document = web.call("GET", "/openapi.json").json
    for calls in document["paths"].values():
        for call in calls.values():
            refusals = {status: one for status, one in call["responses"].items() if status >= "400"}
            assert all(set(one["content"]) == {"application/problem+json"} for one in refusals.values())
            assert "503" in refusals


def test_the_page_for_people_lists_every_call_and_fetches_nothing(web):
    document = web.call("GET", "/openapi.json").json
    page = web.call("GET", "/docs")
    assert page.mimetype == "text/html"
    assert all(path in page.text for path in document["paths"])
    assert "<script" not in page.text
    assert "http://" not in page.text
    assert "https://" not in page.text


def test_the_page_for_people_escapes_what_it_shows():
    call = {"tags": ["<b>"], "summary": "<i>", "responses": {"204": {"description": "<u>"}}}
    page = render(
        {"info": {"title": "<t>"}, "paths": {"/<p>": {"get": call}}, "components": {"schemas": {"<s>": {}}}}
    )
    assert not any(tag in page for tag in ("<i>", "<u>", "<t>", "/<p>", "<s>"))
