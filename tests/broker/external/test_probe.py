"""What is found out of another broker before it is used."""

from dataclasses import replace

import pytest

from broker.build import MQTT_LISTENER
from broker.external import probe
from broker.external.endpoint import parse
from broker.open_mode import OPEN_SETTINGS, build_open_broker


@pytest.mark.parametrize(("longest_s", "kept"), [(3600, True), (0, False)])
async def test_a_broker_that_keeps_sessions_is_told_from_one_that_does_not(longest_s, kept):
    broker = build_open_broker(
        mqtt="127.0.0.1:0", settings=replace(OPEN_SETTINGS, session_expiry_max=longest_s)
    )
    await broker.start()
    try:
        where = parse(f"mqtt://127.0.0.1:{broker.bound[MQTT_LISTENER][1]}")
        assert await probe.keeps_sessions(where, "bridge") is kept
        assert broker.metrics.sessions_persistent == 0, "that of the check is gone"
    finally:
        await broker.shutdown()
