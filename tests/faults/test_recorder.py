"""What a killed device leaves behind can be read, and written on."""

from faultlab.recorder import Follower, Recorder, read


def test_what_was_noted_is_read_again_in_order(tmp_path):
    recorder = Recorder(tmp_path / "log")
    recorder.note("invoke", text="안녕\nthere")
    recorder.note("reply", ok=True)
    recorder.close()
    events = read(tmp_path / "log")
    assert [event["what"] for event in events] == ["invoke", "reply"]
    assert events[0]["text"] == "안녕\nthere"
    assert events[0]["t"] <= events[1]["t"]


def test_a_line_cut_in_two_is_as_if_it_had_never_been_written(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b'{"what":"start","t":1}\n{"what":"rece')
    assert [event["what"] for event in read(path)] == ["start"]
    recorder = Recorder(path)
    recorder.note("start")
    recorder.close()
    assert [event["what"] for event in read(path)] == ["start", "start"]


def test_a_follower_gets_each_line_once_and_only_whole_ones(tmp_path):
    path = tmp_path / "log"
    follower = Follower(path)
    assert follower.new() == []
    path.write_bytes(b'{"what":"a","t":1}\n{"wh')
    assert [event["what"] for event in follower.new()] == ["a"]
    assert follower.new() == []
    with path.open("ab") as file:
        file.write(b'at":"b","t":2}\n')
    assert [event["what"] for event in follower.new()] == ["b"]
