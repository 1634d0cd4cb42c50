"""Another broker over TLS: nothing is lost in the buffers of TLS, and nobody is talked to who is not trusted."""

import pytest
from broker_fakes import FakeInbound
from external_fakes import FakeAccounts, FakeOutbox
from tls_files import TlsFiles

from broker.build import MQTTS_LISTENER, TlsListeners
from broker.external.adapter import ExternalBroker
from broker.external.endpoint import Endpoint
from broker.external.errors import Refused
from broker.open_mode import build_open_broker

ANY = "127.0.0.1:0"


class Quiet:
    def status(self, *_about: object, **_how: object) -> bool:
        return True


@pytest.fixture
async def adapter(world, tmp_path):
    """`adapter(trusting=…)` is the bridge's side of a broker with TLS, not yet started."""
    files = TlsFiles(tmp_path)
    files.servers.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    await world._started(
        build_open_broker(mqtt=ANY, tls=TlsListeners(ANY, None, files.cert, files.key, None))
    )
    made = []

    def make(*, trusting: bool) -> ExternalBroker:
        ca = tmp_path / "ca.pem" if trusting else None
        port = world.broker.bound[MQTTS_LISTENER][1]
        made.append(
            ExternalBroker(
                Endpoint("localhost", port, tls=True, ca=ca),
                inbound=FakeInbound(), published=lambda _upto: None, presence=Quiet(),
                outbox=FakeOutbox(), accounts=FakeAccounts(),
            )
        )  # fmt: skip
        return made[-1]

    yield make
    for one in made:
        await one.shutdown()


async def test_large_messages_go_through_it_both_ways(world, adapter, until):
    bridge = adapter(trusting=True)
    await bridge.start()
    device = await world.client("alice:phone")
    await device.subscribe(("pabal/v1/down/alice/phone", 1))
    for number in range(8):
        await device.publish("pabal/v1/up/alice/phone", b"%d" % number * 100_000, 1)
    for number in range(8):
        bridge.publish("pabal/v1/down/alice/phone", b"%d" % number * 100_000, 1)
    await until(lambda: len(bridge._inbound.submitted) == 8)
    assert [payload[:1] for payload in bridge._inbound.payloads()] == [b"%d" % number for number in range(8)]
    replies = await device.publishes(8)
    assert [(packet.payload[:1], len(packet.payload)) for packet in replies] == [
        (b"%d" % number, 100_000) for number in range(8)
    ]


async def test_a_certificate_that_nobody_trusts_stops_the_start(adapter):
    with pytest.raises(Refused, match="its certificate is not trusted"):
        await adapter(trusting=False).start()
