"""People and each other on a real server: contacts, a block, and a stranger who may not write."""

import pytest
from people import Person

pytestmark = pytest.mark.functional


def contacts(person: Person) -> list[tuple[str, str]]:
    return [(one["user"], one["state"]) for one in person.http.get("/contacts").json()["contacts"]]


def actions(person: Person) -> list[str]:
    return [update["action"] for update in person.inbox() if update["type"] == "contact"]


@pytest.fixture
def person(server):
    made = []

    def make(user: str) -> Person:
        made.append(Person(server.api, user))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_contacts_blocks_and_privacy_over_http(person):
    ines, jan = person("people-ines"), person("people-jan")
    assert ines.http.patch("/me", json={"display_name": "Ines", "privacy": {"write": "contacts"}}).is_success
    refused = jan.send(ines.user, "hi")
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert jan.http.get(f"/users/{ines.user}").json() == {"user": ines.user}

    asked = jan.http.put(f"/contacts/{ines.user}", json={"text": "from the market"})
    assert (asked.status_code, asked.json()["state"]) == (200, "requested")
    assert ines.http.put(f"/contacts/{jan.user}").json()["state"] == "accepted"
    assert (contacts(ines), contacts(jan)) == ([(jan.user, "accepted")], [(ines.user, "accepted")])
    assert jan.send(ines.user, "hi").status_code == 201
    assert jan.http.get(f"/users/{ines.user}").json()["display_name"] == "Ines"
    assert [one["user"] for one in jan.http.get("/users", params={"q": "INE"}).json()["users"]] == [ines.user]

    report = {"conv": f"{ines.user}~{jan.user}", "message_id": 1, "reason": "spam"}
    assert [ines.http.post("/reports", json=report).status_code for _ in range(2)] == [201, 200]
    assert ines.http.get("/reports").status_code == 403

    assert ines.http.put(f"/blocks/{jan.user}").status_code == 204
    for one, other in ((ines, jan), (jan, ines)):
        refused = one.send(other.user, "hi")
        assert (refused.status_code, refused.json()["code"]) == (403, "blocked")
    assert jan.http.get("/users", params={"q": "INE"}).json()["users"] == []
    assert contacts(ines) == []
    assert actions(ines) == ["received", "accepted", "blocked"]
    assert actions(jan) == ["requested", "accepted"]
