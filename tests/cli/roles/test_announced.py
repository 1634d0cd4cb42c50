"""Where a broker says that it is found."""

import pytest

from broker.open_mode import build_open_broker
from cli.address import Address
from cli.roles import announced
from cli.settings import Settings

HERE, WS = Address("127.0.0.1", 1883), Address("127.0.0.1", 8083)
TOLD = {"public_mqtt": "mqtts://chat.example:8883", "public_ws": "wss://chat.example/mqtt"}


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
async def test_listening_everywhere_it_says_nothing_unless_it_was_told_its_address(host):
    broker, everywhere = build_open_broker(mqtt="127.0.0.1:0"), Address(host, 1883)
    assert announced.says(Settings(), broker, everywhere, WS) is None
    said = announced.says(Settings(**TOLD), broker, everywhere, WS)()
    assert (said.tcp, said.ws) == tuple(TOLD.values())
    said = announced.says(Settings(), broker, HERE, WS)()
    assert (said.tcp, said.ws) == ("mqtt://127.0.0.1:1883", "ws://127.0.0.1:8083/mqtt")
