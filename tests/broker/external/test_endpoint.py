import pytest

from broker.external.endpoint import EXPECTED, Endpoint, parse


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("mqtt://broker", Endpoint("broker", 1883)),
        ("mqtts://broker", Endpoint("broker", 8883, tls=True)),
        ("mqtt://127.0.0.1:1884/", Endpoint("127.0.0.1", 1884)),
        ("mqtt://[::1]:1884", Endpoint("::1", 1884)),
        ("mqtt://me:p%40ss%3Aword@broker", Endpoint("broker", 1883, username="me", password="p@ss:word")),
        ("mqtt://me@broker", Endpoint("broker", 1883, username="me")),
    ],
)
def test_a_url_says_where_the_broker_is_and_who_we_are(url, endpoint):
    assert parse(url) == endpoint


@pytest.mark.parametrize(
    "url",
    ["", "broker", "broker:1883", "http://broker", "mqtt://", "mqtt://:1883", "mqtt://b:99999", "mqtt://b:0",
     "mqtt://b:x", "mqtt://b/topic", "mqtt://b?x=1", "mqtt://b#x", "mqtt://a b", "mqtt://[::1"],
)  # fmt: skip
def test_anything_else_is_refused_with_what_would_be_right(url):
    with pytest.raises(ValueError, match=r"mqtt://\[USER:PASSWORD@\]HOST") as refused:
        parse(url)
    assert str(refused.value) == EXPECTED


@pytest.mark.parametrize("url", ["mqtts://me:secret@broker:1", "mqtt://me:secret@[::1]:1"])
def test_an_endpoint_is_shown_without_what_is_secret(url):
    endpoint = parse(url)
    assert "secret" not in f"{endpoint} {endpoint!r}"
    assert str(endpoint) == url.replace("me:secret@", "")
