import pytest
from redis_server import until
from tls_files import TlsFiles
from tls_front import tls_front

from bridge.backplane.address import RedisAddress
from bridge.backplane.admission import look_at
from bridge.backplane.plane import RedisPlane


@pytest.fixture
def files(tmp_path):
    made = TlsFiles(tmp_path)
    made.servers.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return made


@pytest.fixture
def port(own, files):
    with tls_front(files, own.port) as there:
        yield there


def look(url):
    return look_at(RedisAddress.parse(url), patience_s=10).trouble


def test_a_redis_with_tls_is_used_where_its_certificate_is_trusted(port, tmp_path):
    url = f"rediss://127.0.0.1:{port}?ssl_ca_certs={tmp_path / 'ca.pem'}"
    assert look(url) is None
    plane, heard = RedisPlane(RedisAddress.parse(url), timeout_s=10), []
    plane.hear(changes=lambda: heard.append(1))
    until(lambda: heard)
    plane.changed()
    until(lambda: len(heard) == 2)
    plane.stop()
    assert look(f"rediss://127.0.0.1:{port}?ssl_cert_reqs=none") is None


def test_a_certificate_that_is_not_trusted_is_refused_and_so_is_one_of_another_host(port, files, tmp_path):
    trouble = look(f"rediss://127.0.0.1:{port}")
    assert trouble is not None
    assert trouble.lasting
    assert "certificate" in trouble.detail
    other = files.servers.issue_cert("other.example")
    files.key.write_bytes(other.private_key_pem.bytes())
    files.cert.write_bytes(b"".join(blob.bytes() for blob in other.cert_chain_pems))
    with tls_front(files, port) as elsewhere:
        trouble = look(f"rediss://127.0.0.1:{elsewhere}?ssl_ca_certs={tmp_path / 'ca.pem'}")
    assert trouble is not None
    assert "certificate" in trouble.detail


def test_tls_where_there_is_none_and_none_where_there_is_are_told(own, port):
    assert look(f"rediss://127.0.0.1:{own.port}") is not None
    assert look(f"redis://127.0.0.1:{port}") is not None
