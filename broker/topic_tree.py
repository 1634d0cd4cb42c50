"""Who gets a topic, and which topics a filter takes in: tries by topic level (MQTT 3.1.1, 4.7)."""

from collections.abc import Iterator
from typing import Final, Generic, TypeVar

from broker.grants import Extras, is_plain, qos_of
from pabal.topics import has_wildcard

T = TypeVar("T")
# A subscriber, its QoS, and what else there is to it; None if that is all.
Match = tuple[T, int, Extras | None]

_CACHED_TOPICS: Final = 16_384


class _Node(Generic[T]):
    __slots__ = ("children", "values")

    def __init__(self) -> None:
        self.children: dict[str, _Node[T]] = {}
        self.values: dict[T, int] = {}


class SubscriptionTree(Generic[T]):
    """Filters and what each subscriber was granted for them (`broker.grants`).

    Most filters name one topic: those stand in a dictionary. The others stand in a trie. What a topic
    matches is remembered until a subscription that could change it does, for a bounded number of topics.
    A subscriber with several matching filters is told once, with the greatest QoS (3.3.5).
    """

    __slots__ = ("_cache", "_exact", "_root", "_wild")

    def __init__(self) -> None:
        self._exact: dict[str, dict[T, int]] = {}
        self._root: _Node[T] = _Node()
        self._wild = 0
        self._cache: dict[str, tuple[Match[T], ...]] = {}

    def add(self, topic_filter: str, subscriber: T, granted: int) -> None:
        """The filter is valid; a subscription that stands is replaced."""
        if not has_wildcard(topic_filter):
            self._exact.setdefault(topic_filter, {})[subscriber] = granted
            self._cache.pop(topic_filter, None)
            return
        node = self._root
        for level in topic_filter.split("/"):
            child = node.children.get(level)
            if child is None:
                child = node.children[level] = _Node()
            node = child
        self._wild += subscriber not in node.values
        node.values[subscriber] = granted
        self._cache.clear()

    def remove(self, topic_filter: str, subscriber: T) -> None:
        """Nothing happens if it does not stand."""
        if not has_wildcard(topic_filter):
            holders = self._exact.get(topic_filter)
            if holders is not None and holders.pop(subscriber, None) is not None:
                self._cache.pop(topic_filter, None)
                if not holders:
                    del self._exact[topic_filter]
            return
        path: list[tuple[_Node[T], str]] = []
        node = self._root
        for level in topic_filter.split("/"):
            child = node.children.get(level)
            if child is None:
                return
            path.append((node, level))
            node = child
        if node.values.pop(subscriber, None) is None:
            return
        self._wild -= 1
        self._cache.clear()
        for parent, level in reversed(path):
            child = parent.children[level]
            if child.values or child.children:
                break
            del parent.children[level]

    def match(self, topic: str) -> "tuple[Match[T], ...]":
        """The subscribers of a topic name, each once, with the greatest QoS that it holds."""
        found = self._cache.get(topic)
        if found is None:
            found = self._find(topic)
            if len(self._cache) >= _CACHED_TOPICS:
                self._cache.clear()
            self._cache[topic] = found
        return found

    def _find(self, topic: str) -> "tuple[Match[T], ...]":
        held: dict[T, list[int]] = {who: [granted] for who, granted in self._exact.get(topic, {}).items()}
        if self._wild:
            levels = topic.split("/")
            for values in _holders(self._root, levels, 0, topic.startswith("$")):
                for who, granted in values.items():
                    held.setdefault(who, []).append(granted)
        return tuple(
            (who, max(map(qos_of, grants)), None if all(map(is_plain, grants)) else Extras(grants))
            for who, grants in held.items()
        )


def _holders(node: _Node[T], levels: list[str], depth: int, hidden: bool) -> Iterator[dict[T, int]]:
    """`hidden`: the topic begins with '$', which a leading wildcard does not reach [MQTT-4.7.2-1]."""
    children = node.children
    reachable = not (hidden and depth == 0)
    if reachable and (rest := children.get("#")) is not None:
        yield rest.values
    if depth == len(levels):
        if node.values:
            yield node.values
        return
    if (child := children.get(levels[depth])) is not None:
        yield from _holders(child, levels, depth + 1, hidden)
    if reachable and (child := children.get("+")) is not None:
        yield from _holders(child, levels, depth + 1, hidden)


class _Leaf(Generic[T]):
    __slots__ = ("children", "value")

    def __init__(self) -> None:
        self.children: dict[str, _Leaf[T]] = {}
        self.value: T | None = None


class TopicMap(Generic[T]):
    """A value for each topic name, found by name or by filter."""

    __slots__ = ("_by_name", "_root")

    def __init__(self) -> None:
        self._by_name: dict[str, T] = {}
        self._root: _Leaf[T] = _Leaf()

    def __len__(self) -> int:
        return len(self._by_name)

    def set(self, topic: str, value: T) -> None:
        self._by_name[topic] = value
        leaf = self._root
        for level in topic.split("/"):
            child = leaf.children.get(level)
            if child is None:
                child = leaf.children[level] = _Leaf()
            leaf = child
        leaf.value = value

    def pop(self, topic: str) -> T | None:
        """Returns what stood there, or None."""
        value = self._by_name.pop(topic, None)
        if value is None:
            return None
        path: list[tuple[_Leaf[T], str]] = []
        leaf = self._root
        for level in topic.split("/"):
            path.append((leaf, level))
            leaf = leaf.children[level]
        leaf.value = None
        for parent, level in reversed(path):
            child = parent.children[level]
            if child.value is not None or child.children:
                break
            del parent.children[level]
        return value

    def items(self) -> Iterator[tuple[str, T]]:
        yield from self._by_name.items()

    def get(self, topic: str) -> T | None:
        return self._by_name.get(topic)

    def match(self, topic_filter: str) -> list[T]:
        """The values of all topics that a valid filter takes in."""
        if not has_wildcard(topic_filter):
            value = self._by_name.get(topic_filter)
            return [] if value is None else [value]
        return list(_values(self._root, topic_filter.split("/"), 0))


def _values(leaf: _Leaf[T], wanted: list[str], depth: int) -> Iterator[T]:
    if depth == len(wanted):
        if leaf.value is not None:
            yield leaf.value
        return
    level = wanted[depth]
    if level == "#":
        yield from _below(leaf, hide=depth == 0)
    elif level == "+":
        for name, child in leaf.children.items():
            if depth or not name.startswith("$"):
                yield from _values(child, wanted, depth + 1)
    elif (named := leaf.children.get(level)) is not None:
        yield from _values(named, wanted, depth + 1)


def _below(leaf: _Leaf[T], *, hide: bool) -> Iterator[T]:
    if leaf.value is not None:
        yield leaf.value
    for name, child in leaf.children.items():
        if not (hide and name.startswith("$")):
            yield from _below(child, hide=False)
