"""The trees against the plain rules of `pabal.topics`."""

from hypothesis import given
from hypothesis import strategies as st

from broker.topic_tree import SubscriptionTree, TopicMap
from pabal import topics

level = st.sampled_from(["a", "b", "", "$x", "c"])
names = st.lists(level, min_size=1, max_size=4).map("/".join).filter(topics.is_valid_name)
filters = (
    st.lists(level | st.sampled_from(["+", "#"]), min_size=1, max_size=4)
    .map("/".join)
    .filter(topics.is_valid_filter)
)
steps = st.lists(st.tuples(st.booleans(), filters, st.integers(1, 3), st.integers(0, 2)), max_size=30)


@given(steps, st.lists(names, max_size=6))
def test_a_topic_finds_who_holds_a_matching_filter_with_the_greatest_qos(changes, asked):
    tree, model = SubscriptionTree(), {}
    for add, name, who, qos in changes:
        for topic in asked:
            tree.match(topic)  # so that what is remembered has to be forgotten in time
        if add:
            tree.add(name, who, qos)
            model[name, who] = qos
        else:
            tree.remove(name, who)
            model.pop((name, who), None)
        for topic in asked:
            expected = {}
            for (held, holder), held_qos in model.items():
                if topics.matches(held, topic):
                    expected[holder] = max(held_qos, expected.get(holder, 0))
            found = tree.match(topic)
            assert {who: qos for who, qos, _ in found} == expected
            assert len(found) == len(expected)


@given(steps)
def test_what_is_taken_out_leaves_nothing_behind(changes):
    tree = SubscriptionTree()
    for _, name, who, qos in changes:
        tree.add(name, who, qos)
    for _, name, who, _ in changes:
        tree.remove(name, who)
    assert not tree._exact
    assert not tree._root.children
    assert tree._wild == 0


def test_removing_what_was_never_there_does_nothing():
    tree = SubscriptionTree()
    tree.add("a/+", 1, 0)
    tree.add("b", 1, 0)
    for name in ("a/#", "a/+", "b", "x/+"):
        tree.remove(name, 2)
    assert tree.match("a/x") == ((1, 0, None),)
    assert tree.match("b") == ((1, 0, None),)


def test_the_topics_remembered_are_bounded():
    tree = SubscriptionTree()
    for number in range(40_000):
        tree.match(f"t/{number}")
    assert len(tree._cache) <= 16_384


@given(st.lists(st.tuples(st.booleans(), names), max_size=20), filters)
def test_a_filter_finds_the_topics_that_it_takes_in(changes, asked):
    found, model = TopicMap(), {}
    for place, (put, name) in enumerate(changes):
        if put:
            found.set(name, place)
            model[name] = place
        else:
            assert found.pop(name) == model.pop(name, None)
    assert dict(found.items()) == model
    assert len(found) == len(model)
    assert sorted(found.match(asked)) == sorted(v for k, v in model.items() if topics.matches(asked, k))
    for name in list(model):
        assert found.get(name) == model[name]
        found.pop(name)
    assert not found._root.children
