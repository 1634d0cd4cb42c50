"""Where pushes may be sent: nowhere into our own network."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pabal.errors import BadRequest
from push.endpoints import EndpointRules, is_public

RULES = EndpointRules()


@pytest.mark.parametrize(
    "url",
    [
        "https://updates.push.services.mozilla.com/wpush/v2/gAAAA_-~",
        "https://push.example",
        "https://push.example:443/a",
        "https://PUSH.example:8443/a?b=c%20d",
        "https://push.example./a",
        "https://xn--9n2bp8q.example/",
        "https://8.8.8.8/a",
        "https://[2606:4700:4700::1111]/a",
        "https://a_b.example/",
    ],
)
def test_an_https_url_of_a_public_host_is_kept_as_it_is(url):
    assert RULES.checked(url, "endpoint") == url


@pytest.mark.parametrize(
    ("url", "because"),
    [
        (None, "a URL"),
        ("", "a URL"),
        (7, "a URL"),
        ("push.example", "https only"),
        ("http://push.example/", "https only"),
        ("ftp://push.example/", "https only"),
        ("//push.example/", "https only"),
        ("https://", "with a host"),
        ("https:///a", "with a host"),
        ("https://a b.example/", "no spaces"),
        ("https://a.example/\n", "no spaces"),
        ("https://푸시.example/", "ASCII"),
        ("https://push.example\\@10.0.0.1/", "no spaces"),
        ("https://me@push.example/", "without user"),
        ("https://me:secret@push.example/", "without user"),
        ("https://push.example/#there", "without user and fragment"),
        ("https://push.example/#", "without user and fragment"),
        ("https://push.example:0/", "port 443"),
        ("https://push.example:25/", "port 443"),
        ("https://push.example:80/", "port 443"),
        ("https://push.example:65536/", "not a URL"),
        ("https://push.example:http/", "not a URL"),
        ("https://[::1/", "not a URL"),
        ("https://-a.example/", "not the name"),
        ("https://a..example/", "not the name"),
        ("https://" + "a" * 64 + ".example/", "not the name"),
        ("https://a%2eexample/", "not the name"),
        ("https://push.example/" + "a" * 2048, "at most 2048"),
    ],
)
def test_what_is_no_url_for_a_push_is_refused(url, because):
    with pytest.raises(BadRequest, match=because) as refused:
        RULES.checked(url, "endpoint")
    assert refused.value.field == "endpoint"


def test_the_longest_url_is_just_taken():
    url = "https://push.example/"
    assert RULES.checked(url + "a" * (2048 - len(url)), "endpoint")


PRIVATE = [
    "127.0.0.1", "127.8.9.10", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "0.0.0.0", "224.0.0.1", "239.255.255.250", "255.255.255.255", "240.0.0.1", "192.0.2.1",
    "198.18.0.1", "198.51.100.7", "203.0.113.9",
    "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "ff02::1", "fec0::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1",
    "64:ff9b:1::808:808", "2002:7f00:1::", "2002:808:808::", "2001:0:4136:e378:8000:63bf:3fff:fdd2",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "172.32.0.1"]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_not_public(address):
    assert not is_public(address)
    assert not RULES.admits("push.example", address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are(address):
    assert is_public(address)
    assert RULES.admits("push.example", address)


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_in_a_url_is_refused(address):
    bare = address.partition("%")[0]
    host = f"[{bare}]" if ":" in bare else bare
    with pytest.raises(BadRequest, match="private address"):
        RULES.checked(f"https://{host}:8443/a", "endpoint")


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST", "localhost.", "a.localhost", "printer.local", "db.internal", "db", "nas.lan",
     "x.home.arpa", "abc.onion"],
)  # fmt: skip
def test_names_of_private_networks_are_refused(host):
    with pytest.raises(BadRequest, match="private network"):
        RULES.checked(f"https://{host}/a", "endpoint")


@pytest.mark.parametrize(
    "host", ["127.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "10.0.0.01", "1.2.3.4.5"]
)
def test_numbers_that_resolvers_take_for_addresses_are_refused(host):
    with pytest.raises(BadRequest, match="not the name of a host"):
        RULES.checked(f"https://{host}/a", "endpoint")


def test_what_is_no_address_is_not_public():
    assert not is_public("push.example")
    assert not is_public("")


@pytest.mark.parametrize("host", ["localhost", "ntfy.lan", "10.0.0.7", "[fd00::7]"])
def test_a_host_that_is_allowed_may_be_private_and_others_may_not(host):
    name = host.strip("[]")
    rules = EndpointRules(frozenset({name}))
    url = f"https://{host}:8443/a"
    assert rules.checked(url, "endpoint") == url
    assert rules.admits(name.upper(), "10.0.0.7")
    assert not rules.admits("push.example", "10.0.0.7")
    with pytest.raises(BadRequest):
        rules.checked("https://192.168.0.1/", "endpoint")
    with pytest.raises(BadRequest, match="https only"):
        rules.checked(url.replace("https", "http"), "endpoint")


def test_a_star_allows_all_hosts():
    rules = EndpointRules(frozenset({"*"}))
    assert rules.checked("https://127.0.0.1:8443/a", "endpoint")
    assert rules.admits("push.example", "127.0.0.1")


@given(st.text(max_size=60))
def test_anything_at_all_is_taken_or_refused(text):
    for url in (text, f"https://{text}", f"https://push.example{text}"):
        with contextlib.suppress(BadRequest):
            assert RULES.checked(url, "endpoint") == url


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_as_public_as_when_it_is_mapped(address):
    assert is_public(str(address)) == is_public(f"::ffff:{address}")
