"""The one owner of the topic names, and of how MQTT topics and filters compare (MQTT 3.1.1, 4.7)."""

from dataclasses import dataclass

from pabal.errors import BadRequest
from pabal.ids import ConvId, DeviceId, UserId, parse_conv, parse_device, parse_user

ROOT = "pabal/v1/"
DOWN = f"{ROOT}down/"
MAX_TOPIC_BYTES = 65_535


def up(user: UserId, device: DeviceId) -> str:
    return f"{ROOT}up/{user}/{device}"


def down(user: UserId, device: DeviceId) -> str:
    return f"{DOWN}{user}/{device}"


def inbox(user: UserId) -> str:
    return f"{ROOT}inbox/{user}"


def live(user: UserId) -> str:
    return f"{ROOT}live/{user}"


def room(conv: ConvId) -> str:
    return f"{ROOT}room/{conv}"


def presence(user: UserId) -> str:
    return f"{ROOT}presence/{user}"


def status(user: UserId, device: DeviceId) -> str:
    return f"{ROOT}status/{user}/{device}"


def status_of(user: UserId) -> str:
    """Below it are the states of this user's devices."""
    return f"{ROOT}status/{user}"


def service_up(instance: str) -> str:
    return f"{ROOT}svc/{instance}/up"


def service_down(instance: str) -> str:
    return f"{ROOT}svc/{instance}/down"


@dataclass(frozen=True, slots=True)
class Up:
    user: UserId
    device: DeviceId


@dataclass(frozen=True, slots=True)
class Down:
    user: UserId
    device: DeviceId


@dataclass(frozen=True, slots=True)
class Inbox:
    user: UserId


@dataclass(frozen=True, slots=True)
class Live:
    user: UserId


@dataclass(frozen=True, slots=True)
class Room:
    conv: ConvId


@dataclass(frozen=True, slots=True)
class Presence:
    user: UserId


@dataclass(frozen=True, slots=True)
class Status:
    user: UserId
    device: DeviceId


@dataclass(frozen=True, slots=True)
class ServiceUp:
    instance: str


@dataclass(frozen=True, slots=True)
class ServiceDown:
    instance: str


Topic = Up | Down | Inbox | Live | Room | Presence | Status | ServiceUp | ServiceDown


def parse(name: str) -> Topic | None:
    """What a topic name (not a filter) means here. Returns None if it is not one of ours."""
    if not name.startswith(ROOT):
        return None
    try:
        return _parse_levels(name[len(ROOT) :].split("/"))
    except BadRequest:
        return None


def _parse_levels(levels: list[str]) -> Topic | None:  # noqa: PLR0911 -- one line for each kind of topic
    match levels:
        case ["up", user, device]:
            return Up(parse_user(user), parse_device(device))
        case ["down", user, device]:
            return Down(parse_user(user), parse_device(device))
        case ["inbox", user]:
            return Inbox(parse_user(user))
        case ["live", user]:
            return Live(parse_user(user))
        case ["room", conv]:
            return Room(parse_conv(conv))
        case ["presence", user]:
            return Presence(parse_user(user))
        case ["status", user, device]:
            return Status(parse_user(user), parse_device(device))
        case ["svc", instance, "up"]:
            return ServiceUp(parse_device(instance))
        case ["svc", instance, "down"]:
            return ServiceDown(parse_device(instance))
        case _:
            return None


def is_valid_name(topic: str) -> bool:
    """A topic that may be published to: not empty, no wildcard, no U+0000, at most 65,535 bytes."""
    return _is_mqtt_string(topic) and not has_wildcard(topic)


def is_valid_filter(topic_filter: str) -> bool:
    """A filter that may be subscribed to: wildcards take whole levels, '#' the last one."""
    if not _is_mqtt_string(topic_filter):
        return False
    levels = topic_filter.split("/")
    return "#" not in levels[:-1] and all(level in {"+", "#"} or not has_wildcard(level) for level in levels)


def _is_mqtt_string(text: str) -> bool:
    """Whether this goes on the wire as a topic: 1 to 65,535 bytes of UTF-8 without U+0000 (1.5.3, 4.7.3)."""
    if "\0" in text:
        return False
    try:
        return 0 < len(text.encode()) <= MAX_TOPIC_BYTES
    except UnicodeEncodeError:  # half of a surrogate pair (MQTT-1.5.3-1)
        return False


def is_system(topic_filter: str) -> bool:
    """Whether this names the broker's own topics, and nothing else."""
    return topic_filter.startswith("$SYS/")


def has_wildcard(topic_filter: str) -> bool:
    return "+" in topic_filter or "#" in topic_filter


def matches(topic_filter: str, topic: str) -> bool:
    """Whether a valid filter takes in a valid topic name.

    A leading wildcard does not reach topics that begin with '$' (4.7.2), and 'a/#' takes in 'a' (4.7.1.2).
    """
    wanted = topic_filter.split("/")
    given = topic.split("/")
    if given[0].startswith("$") and wanted[0] in {"+", "#"}:
        return False
    for place, level in enumerate(wanted):
        if level == "#":
            return True
        if place >= len(given) or level not in {"+", given[place]}:
            return False
    return len(wanted) == len(given)


def overlap(one: str, other: str) -> bool:
    """Whether there is a topic name that both valid filters take in."""
    if {one, other} == {"+", "/#"}:
        return False  # only the empty topic would be left, which there is not (MQTT-4.7.3-1)
    ours, theirs = one.split("/"), other.split("/")
    if (ours[0].startswith("$") and theirs[0] in {"+", "#"}) or (
        theirs[0].startswith("$") and ours[0] in {"+", "#"}
    ):
        return False
    for mine, yours in zip(ours, theirs, strict=False):
        if mine == "#" or yours == "#":
            return True
        if mine != yours and "+" not in {mine, yours}:
            return False
    longer = ours if len(ours) > len(theirs) else theirs
    return len(ours) == len(theirs) or longer[min(len(ours), len(theirs)) :] == ["#"]
