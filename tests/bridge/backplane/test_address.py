import pytest

from bridge.backplane.address import EXPECTED, RedisAddress


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("redis://cache", "redis://cache:6379"),
        ("redis://cache:7000/3", "redis://cache:7000/3"),
        ("rediss://u:p%40ss@cache/", "rediss://cache:6379"),
        ("redis://[::1]:6380", "redis://[::1]:6380"),
        ("redis+cluster://a:1,b:2", "redis+cluster://a:1,b:2"),
        ("rediss+cluster://:p@a", "rediss+cluster://a:6379"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock"),
        ("unix://u:p@/run/redis.sock?db=2", "unix:///run/redis.sock?db=2"),
    ],
)
def test_a_good_url_is_read_and_shown_without_user_and_password(given, shown):
    address = RedisAddress.parse(given)
    assert str(address) == repr(address) == shown


def test_user_and_password_are_decoded():
    address = RedisAddress.parse("redis://us%3Aer:p%40ss@cache")
    assert (address.username, address.password) == ("us:er", "p@ss")
    only_password = RedisAddress.parse("redis://:secret@cache")
    assert (only_password.username, only_password.password) == (None, "secret")


def test_options_of_tls_are_for_urls_with_tls():
    address = RedisAddress.parse("rediss://cache?ssl_ca_certs=/etc/ca.pem&ssl_cert_reqs=none")
    assert address.tls == {"ssl_ca_certs": "/etc/ca.pem", "ssl_cert_reqs": "none"}
    assert RedisAddress.parse("redis://cache").tls is None
    with pytest.raises(ValueError, match="redis://"):
        RedisAddress.parse("redis://cache?ssl_ca_certs=/etc/ca.pem")


@pytest.mark.parametrize(
    "given",
    [
        "",
        "hunter2",
        "cache:6379",
        "http://hunter2@cache",
        "redis://",
        "redis://:hunter2@",
        "redis://cache:hunter2",
        "redis://cache:0",
        "redis://cache:65536",
        "redis://cache/hunter2",
        "redis://cache/1/2",
        "redis://cache/-1",
        "redis://a,b",
        "redis://ca che",
        "redis://cache?hunter2=1",
        "redis://cache?hunter2",
        "redis://cache#hunter2",
        "redis+cluster://",
        "redis+cluster://a,,b",
        "unix://",
        "unix:///",
        "unix://host/path",
        "unix:///path?db=x",
        "rediss://cache?ssl_cert_reqs=perhaps",
        "redis://[::1",
    ],
)
def test_what_is_no_url_of_redis_is_refused_without_repeating_it(given):
    with pytest.raises(ValueError, match="redis://") as refused:
        RedisAddress.parse(given)
    assert str(refused.value) == EXPECTED


def test_a_cluster_has_no_numbered_databases():
    assert RedisAddress.parse("redis+cluster://a/0").number == 0
    with pytest.raises(ValueError, match="numbered"):
        RedisAddress.parse("redis+cluster://a/1")
