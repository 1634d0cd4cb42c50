"""Facts for a batch: only what is asked for is looked up, and each look-up is one statement over key ranges."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, TextClause

from bridge.facts import Content, Conversation, Facts, Known, Target, Wanted
from bridge.store import people_store, subscription_store
from bridge.store.dialect import rows
from bridge.store.group_store import load_groups, load_invites
from bridge.store.relay_statements import RelayStatements
from pabal.ids import ConvId, UserId


def load_facts(connection: Connection, sql: RelayStatements, keys: Wanted) -> Facts:
    """Locks the conversations first, sorted; everything else is looked up under that lock."""
    loader = _Loader(connection, sql)
    facts = Facts(looks_back=keys.looks_back)
    load_invites(sql.group, loader.each, facts, keys)
    loader.conversations(facts, keys)
    loader.known(facts, keys)
    facts.accounts = people_store.load(
        connection, sql.people, keys.accounts, keys.conversations, keys.people, facts.people
    )
    facts.heads = {UserId(user): head for user, head in loader.each(sql.load_heads, sorted(keys.heads))}
    loader.reads(facts, keys)
    loader.targets(facts, keys)
    loader.contents(facts, keys)
    loader.members(facts, keys)
    loader.successions(facts, keys)
    load_groups(sql.group, loader.each, facts, keys)
    subscription_store.load(connection, sql.push, keys.push, facts.push)
    return facts


class _Loader:
    def __init__(self, connection: Connection, sql: RelayStatements) -> None:
        self._connection = connection
        self._sql = sql

    def each(self, statement: TextClause, keys: Sequence[Any]) -> Iterable[Any]:
        return self._connection.execute(statement, {"keys": rows(keys)}) if keys else ()

    def conversations(self, facts: Facts, keys: Wanted) -> None:
        found = self.each(self._sql.load_conversations, sorted(keys.conversations))
        for conv, kind, mode, head, ordinal, name, history, posting in found:
            facts.conversations[ConvId(conv)] = Conversation(
                kind, mode, head, ordinal, name, history, posting
            )

    def known(self, facts: Facts, keys: Wanted) -> None:
        for statement, known in (
            (self._sql.load_known_direct, keys.known_direct),
            (self._sql.load_known_group, keys.known_group),
        ):
            for conv, sender, device, id_, message_id, digest, ts in self.each(statement, known):
                facts.known[conv, sender, device, id_] = Known(message_id, digest, ts)

    def reads(self, facts: Facts, keys: Wanted) -> None:
        found = self.each(self._sql.load_read, [*keys.direct_reads, *keys.group_reads])
        for conv, user, read_upto, delivered_upto in found:
            facts.read_upto[ConvId(conv), UserId(user)] = read_upto
            facts.delivered_upto[ConvId(conv), UserId(user)] = delivered_upto
        for statement, reads in (
            (self._sql.load_direct_ordinals, keys.direct_reads),
            (self._sql.load_group_ordinals, keys.group_reads),
        ):
            for conv, message_id, ordinal in self.each(statement, reads):
                facts.ordinals[ConvId(conv), message_id] = ordinal

    def targets(self, facts: Facts, keys: Wanted) -> None:
        for statement, targets in (
            (self._sql.load_direct_targets, keys.direct_targets),
            (self._sql.load_group_targets, keys.group_targets),
        ):
            for conv, message_id, sender, type_, ts, recalled, expires in self.each(statement, targets):
                facts.targets[ConvId(conv), message_id] = Target(sender, type_, ts, bool(recalled), expires)
        for conv, target, user, emoji in self.each(self._sql.load_reactions, keys.reactions):
            facts.reactions.setdefault((ConvId(conv), target, UserId(user)), set()).add(emoji)
        changed = sorted({conv for conv, _target, _user in keys.group_targets if _is_large(facts, conv)})
        for conv, latest in self.each(self._sql.load_latest_joins, changed):
            facts.latest_join[ConvId(conv)] = latest

    def contents(self, facts: Facts, keys: Wanted) -> None:
        for statement, asked in (
            (self._sql.load_direct_contents, keys.direct_contents),
            (self._sql.load_group_contents, keys.group_contents),
        ):
            for conv, message_id, kind, text, body in self.each(statement, asked):
                facts.contents[ConvId(conv), message_id] = Content(kind, text, body)
        for conv, message_id, user in self.each(self._sql.load_hidden, keys.hidden):
            facts.hidden.add((ConvId(conv), message_id, UserId(user)))

    def members(self, facts: Facts, keys: Wanted) -> None:
        """All members of small groups get copies; of a large one only those that somebody acts on matter."""
        small = [
            conv
            for conv in keys.groups
            if conv in facts.conversations and (not _is_large(facts, conv) or conv in keys.group.whole)
        ]
        asked = sorted(pair for pair in keys.members if _is_large(facts, pair[0]))
        for statement, members in ((self._sql.load_rosters, small), (self._sql.load_roles, asked)):
            for conv, user, role, visible_from, silenced in self.each(statement, members):
                facts.roles.setdefault(ConvId(conv), {})[UserId(user)] = role
                facts.visible_from[ConvId(conv), UserId(user)] = visible_from
                if silenced is not None:
                    facts.group.silenced[ConvId(conv), UserId(user)] = silenced

    def successions(self, facts: Facts, keys: Wanted) -> None:
        """Those of whom one may have to own the group: one more than can leave it in this batch."""
        for conv in sorted(keys.successions):
            leaving = sum(1 for of, _user in keys.members if of == conv)
            asked = {"conv": conv, "limit": leaving + 1}
            for name, role, visible_from, silenced in self._connection.execute(self._sql.load_heirs, asked):
                user = UserId(name)
                facts.heirs.setdefault(conv, []).append(user)
                facts.roles.setdefault(conv, {}).setdefault(user, role)
                facts.visible_from.setdefault((conv, user), visible_from)
                if silenced is not None:
                    facts.group.silenced[conv, user] = silenced


def _is_large(facts: Facts, conv: ConvId) -> bool:
    state = facts.conversations.get(conv)
    return state is not None and state.is_large
