"""`pabal bench` beside a running server."""

import json

import pytest

from cli.main import main


@pytest.mark.functional
@pytest.mark.timeout(400)
def test_a_running_server_is_measured_again_and_again(server, capsys):
    where = ["--data", str(server.data), "--mqtt", f"127.0.0.1:{server.mqtt}"]
    for how in (["--rate", "40"], ["--rate", "0", "--window", "2"]):
        code = main(["bench", *where, "--pairs", "1", "--seconds", "0.3", "--json", *how])
        out, err = capsys.readouterr()
        assert code == 0, out + err
        found = json.loads(out)
        assert found["sent"] > 0
        assert (found["lost"], found["refused"], found["out_of_order"]) == (0, 0, 0)
