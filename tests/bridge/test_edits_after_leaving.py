"""What a message is made to say after somebody left its group reaches them by no way, nor in its old place."""


async def edit(talk, conv: str, target: int, text: str) -> None:
    await talk.ok("alice", {"op": "edit", "conv": conv, "target": target, "text": text})


def texts(items: list[dict]) -> list[tuple[str, str | None]]:
    return [(item["type"], item.get("text")) for item in items if item["type"] in {"message", "edited"}]


async def test_who_left_gets_the_content_of_then_only_where_it_was_not_edited_since(talk):
    conv = await talk.group("bob")
    first, second = await talk.said("one", conv), await talk.said("two", conv)
    await edit(talk, conv, first, "one, of bob's time")
    await edit(talk, conv, second, "two, of bob's time")
    await talk.ok("bob", {"op": "group.leave", "conv": conv})
    await edit(talk, conv, second, "secret")
    assert texts(await talk.synced("bob")) == [
        ("message", "one, of bob's time"),
        ("message", None),
        ("edited", "one, of bob's time"),
        ("edited", None),
    ]
    assert ("message", "secret") in texts(await talk.synced("alice"))


async def test_to_come_back_does_not_bring_it_either(talk):
    conv = await talk.group("bob")
    before = await talk.said("one", conv)
    await talk.ok("alice", {"op": "group.remove", "conv": conv, "user": "bob"})
    await edit(talk, conv, before, "secret")
    await talk.ok("alice", {"op": "group.add", "conv": conv, "user": "bob"})
    after = await talk.said("two", conv)
    await edit(talk, conv, before, "secret still")
    await edit(talk, conv, after, "for bob too")
    assert texts(await talk.synced("bob")) == [
        ("message", None),
        ("message", "for bob too"),
        ("edited", "for bob too"),
    ]
    assert "secret" not in await talk.everything("bob", conv)


async def test_who_comes_back_and_sees_all_is_shown_all(talk):
    conv = await talk.group("bob")
    before = await talk.said("one", conv)
    await talk.ok("bob", {"op": "group.leave", "conv": conv})
    await edit(talk, conv, before, "open to all")
    await talk.ok("alice", {"op": "group.update", "conv": conv, "history": "all"})
    await talk.ok("alice", {"op": "group.add", "conv": conv, "user": "bob"})
    assert texts(await talk.synced("bob")) == [("message", "open to all")]


async def test_a_mention_in_a_large_group_is_no_way_either(talk):
    conv = await talk.group("bob", "carol")
    said = await talk.said("for bob", conv, mentions=["bob"])
    await talk.ok("bob", {"op": "group.leave", "conv": conv})
    assert [item.get("text") for item in await talk.synced("bob") if item["type"] == "mention"] == ["for bob"]
    await edit(talk, conv, said, "secret")
    assert [item.get("text") for item in await talk.synced("bob") if item["type"] == "mention"] == [None]
