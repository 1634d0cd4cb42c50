"""Presence against a model that has no timers and forgets nothing."""

from hypothesis import given
from hypothesis import strategies as st

from pabal.ids import DeviceId, UserId
from pabal.presence import BURST, LINGER_S, Roster, Status

BOB = UserId("bob")


class Model:
    """Says at any time what is true; it does not know when anybody is told."""

    def __init__(self) -> None:
        self.devices: dict[str, dict] = {}

    def of(self, device, *, make):
        fresh = {"connections": set(), "status": None, "n": None, "gone": None}
        return self.devices.setdefault(device, fresh) if make else self.devices.get(device)

    def is_here(self, device, now):
        return bool(device["connections"]) or (device["gone"] is not None and now < device["gone"] + LINGER_S)

    def tidy(self, now):
        """A device that is over begins anew."""
        for name, device in list(self.devices.items()):
            over = device["gone"] is not None and now >= device["gone"] + LINGER_S
            if over or (not self.is_here(device, now) and device["status"] in {None, "offline"}):
                del self.devices[name]

    def play(self, event, now):
        self.tidy(now)
        kind, name, *rest = event
        device = self.of(name, make=kind == "come" or (kind == "say" and rest[0] in {"online", "away"}))
        if device is None:
            return
        if kind == "come":
            device["connections"].add(rest[0])
            device["gone"] = None
        elif kind == "go" and rest[0] in device["connections"]:
            device["connections"].discard(rest[0])
            if not device["connections"]:
                if rest[1] or device["status"] == "offline":
                    del self.devices[name]
                else:
                    device["gone"] = now
        elif kind in {"say", "will"}:
            state, n = rest
            if n is not None and device["n"] is not None and n < device["n"]:
                return
            device["n"] = device["n"] if n is None else n
            if kind == "say":
                device["status"], device["gone"] = state, None
            elif state == "offline" and not self.is_here(device, now):
                device["gone"] = now
        self.tidy(now)

    def state(self, now):
        self.tidy(now)
        said = [device["status"] or "online" for device in self.devices.values()]
        return "online" if "online" in said else "away" if "away" in said else "offline"


NAMES = st.sampled_from(["phone", "desk"])
NUMBERS = st.none() | st.integers(0, 3)
STATES = st.sampled_from(["online", "away", "offline", None])
EVENTS = st.one_of(
    st.tuples(st.just("come"), NAMES, st.sampled_from("ab")),
    st.tuples(st.just("go"), NAMES, st.sampled_from("ab"), st.booleans()),
    st.tuples(st.just("say"), NAMES, STATES, NUMBERS),
    st.tuples(st.just("will"), NAMES, st.sampled_from(["online", "away", "offline"]), NUMBERS),
)


def play(roster, event, now):
    kind, name, *rest = event
    device = DeviceId(name)
    match kind:
        case "come":
            return roster.connected(BOB, device, rest[0], now)
        case "go":
            return roster.disconnected(BOB, device, rest[0], now, clean=rest[1])
        case _:
            return roster.status(BOB, device, Status(*rest), now, will=kind == "will")


@given(st.lists(st.tuples(EVENTS, st.sampled_from([0, 0.25, 1, 4, 10, 11]))))
def test_whatever_happens_what_is_told_is_true_never_twice_and_in_the_end_all_of_it(history):
    roster, model, now = Roster(), Model(), 0.0
    told: list[tuple[float, str]] = []

    def tell(change):
        if change is not None:
            assert change.state == model.state(now)
            assert change.state != (told[-1][1] if told else "offline")
            told.append((now, change.state))
            assert roster.state_of(BOB) == change.state

    for (kind, name, *rest), pause in history:
        model.play((kind, name, *rest), now)
        tell(play(roster, (kind, name, *rest), now))
        end = now + pause
        while (due := roster.next_due()) is not None and due <= end:
            now = due
            for change in roster.due(now):
                tell(change)
        now = end
        assert roster.online == (roster.state_of(BOB) != "offline")
    for place, (at, _state) in enumerate(told):
        assert sum(at <= when < at + 1 for when, _ in told[place:]) <= BURST + 1
    for _ in range(2):  # to be told what is left, and to be forgotten
        now += 60
        for change in roster.due(now):
            tell(change)
    assert roster.state_of(BOB) == model.state(now)
    assert roster.next_due() is None or model.devices
    assert len(roster) == bool(model.devices)
