"""Settings of TLS: what belongs together has to be there, and files that cannot be used stop the start."""

import pytest
from tls_files import TlsFiles

from cli import configuration, tls
from cli.errors import SettingsError


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return TlsFiles(tmp_path_factory.mktemp("tls"))


def load(**flags):
    return configuration.load(flags).settings


def test_without_addresses_there_are_no_listeners(files):
    settings = load(tls_cert=str(files.cert), tls_key=str(files.key))
    assert tls.listeners(settings) is None
    tls.check(None)


def test_listeners_of_good_files_are_good(files):
    settings = load(
        mqtts="127.0.0.1:0", wss="[::1]:8884", tls_cert=str(files.cert), tls_key=str(files.key),
        tls_client_ca=str(files.client_ca),
    )  # fmt: skip
    made = tls.listeners(settings)
    assert (made.mqtts, made.wss, made.client_ca) == ("127.0.0.1:0", "[::1]:8884", files.client_ca)
    tls.check(made)


@pytest.mark.parametrize("missing", ["tls_cert", "tls_key"])
def test_a_listener_wants_both_files(files, missing):
    given = {"tls_cert": str(files.cert), "tls_key": str(files.key)}
    del given[missing]
    with pytest.raises(SettingsError, match=rf"^mqtts = 127.0.0.1:8883 wants {missing} too"):
        load(mqtts="127.0.0.1:8883", **given)


def test_a_file_that_is_not_there_is_named(files):
    with pytest.raises(SettingsError, match=r"^tls_cert = '/nowhere/cert.pem' cannot be read"):
        load(wss="127.0.0.1:0", tls_cert="/nowhere/cert.pem", tls_key=str(files.key))


@pytest.mark.parametrize("swapped", [("cert", "cert"), ("key", "key"), ("client_ca", "key")])
def test_files_that_do_not_belong_together_are_one_line(files, swapped):
    cert, key = (str(getattr(files, name)) for name in swapped)
    settings = load(mqtts="127.0.0.1:0", tls_cert=cert, tls_key=key)
    with pytest.raises(SettingsError, match=r"\.pem") as refused:
        tls.check(tls.listeners(settings))
    assert "\n" not in refused.value.cause
    assert refused.value.exit_code == 2


def test_a_client_ca_that_is_none_is_one_line(files):
    settings = load(
        mqtts="127.0.0.1:0", tls_cert=str(files.cert), tls_key=str(files.key), tls_client_ca=str(files.key)
    )
    with pytest.raises(SettingsError, match="holds no CA certificates"):
        tls.check(tls.listeners(settings))


def test_the_same_port_twice_is_refused(files):
    with pytest.raises(SettingsError, match="are the same port"):
        load(mqtts="127.0.0.1:1883", tls_cert=str(files.cert), tls_key=str(files.key))


def test_an_open_broker_wants_them_too(pabal):
    done = pabal("broker", "--open", "--mqtt", "127.0.0.1:0", "--mqtts", "127.0.0.1:0")
    assert done.code == 2
    assert done.err.startswith("error: --mqtts and --wss want --tls-cert and --tls-key")
    done = pabal("broker", "--open", "--mqtt", "127.0.0.1:0", "--wss", "0.0.0.0:0")
    assert done.code == 2
    assert "is not a loopback address" in done.err
