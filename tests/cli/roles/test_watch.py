"""Where those who watch a role find it, and when they do not."""

import pytest

from cli import probe, sockets
from cli.address import Address
from cli.errors import CliError
from cli.roles.health import Health
from cli.roles.watch import Watch
from cli.settings import Settings

ANY = Address("127.0.0.1", 0)


@pytest.fixture
async def watch():
    """`watch(**settings)`, stopped with the test."""
    made = []

    def make(settings):
        made.append(Watch(settings, Health()))
        return made[-1]

    yield make
    for one in made:
        await one.stop()


async def test_an_address_that_was_chosen_and_is_in_use_stops_the_start(watch):
    with sockets.listen("metrics", ANY) as taken:
        address = sockets.address_of(taken)
        made = watch(Settings(metrics=str(address)))
        with pytest.raises(CliError, match=r"metrics = .* the port is in use"):
            await made.start(0.0)
        await made.start_if_free()
        assert made.address is None
    await made.start_if_free()
    assert made.address == address
    await made.start(0.0)
    assert await probe.get_status(address, "/healthz") == 200


async def test_the_usual_address_in_use_is_one_line_in_the_log(watch, caplog):
    with sockets.listen("metrics", ANY) as taken:
        settings = Settings()
        # Given by nobody, as far as the settings know.
        object.__setattr__(settings, "__dict__", {**settings.__dict__, "metrics": sockets.address_of(taken)})
        made = watch(settings)
        await made.start(60.0)
        assert made.address is None
        assert not caplog.records, "a start that fails is told in one line"
        made.tell()
    (record,) = caplog.records
    assert "is in use (choose another address for metrics, or off)" in record.getMessage()


async def test_off_means_nowhere(watch, caplog):
    made = watch(Settings(metrics="off"))
    await made.start(0.0)
    made.tell()
    assert made.address is None
    assert not caplog.records
