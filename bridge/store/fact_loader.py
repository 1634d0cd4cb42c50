"""Facts for a batch: only what is asked for is looked up, and each look-up is one statement over key ranges."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, TextClause

from bridge.facts import Conversation, Facts, Known, Target, Wanted
from bridge.store.dialect import rows
from bridge.store.relay_statements import RelayStatements
from pabal.ids import ConvId, UserId


def load_facts(connection: Connection, sql: RelayStatements, keys: Wanted) -> Facts:
    """Locks the conversations first, sorted; everything else is looked up under that lock."""
    loader = _Loader(connection, sql)
    facts = Facts()
    loader.conversations(facts, keys)
    loader.known(facts, keys)
    for user, state in loader.each(sql.load_accounts, sorted(keys.accounts)):
        (facts.accounts if state == "active" else facts.gone).add(UserId(user))
    facts.heads = {UserId(user): head for user, head in loader.each(sql.load_heads, sorted(keys.heads))}
    loader.reads(facts, keys)
    loader.targets(facts, keys)
    loader.members(facts, keys)
    loader.successions(facts, keys)
    return facts


class _Loader:
    def __init__(self, connection: Connection, sql: RelayStatements) -> None:
        self._connection = connection
        self._sql = sql

    def each(self, statement: TextClause, keys: Sequence[Any]) -> Iterable[Any]:
        return self._connection.execute(statement, {"keys": rows(keys)}) if keys else ()

    def conversations(self, facts: Facts, keys: Wanted) -> None:
        found = self.each(self._sql.load_conversations, sorted(keys.conversations))
        for conv, kind, mode, head, ordinal, name in found:
            facts.conversations[ConvId(conv)] = Conversation(kind, mode, head, ordinal, name)

    def known(self, facts: Facts, keys: Wanted) -> None:
        for statement, known in (
            (self._sql.load_known_direct, keys.known_direct),
            (self._sql.load_known_group, keys.known_group),
        ):
            for conv, sender, device, id_, message_id, digest, ts in self.each(statement, known):
                facts.known[conv, sender, device, id_] = Known(message_id, digest, ts)

    def reads(self, facts: Facts, keys: Wanted) -> None:
        found = self.each(self._sql.load_read, [*keys.direct_reads, *keys.group_reads])
        for conv, user, read_upto in found:
            facts.read_upto[ConvId(conv), UserId(user)] = read_upto
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
            for conv, message_id, sender, type_, ts, recalled in self.each(statement, targets):
                facts.targets[ConvId(conv), message_id] = Target(sender, type_, ts, bool(recalled))
        for conv, target, user, emoji in self.each(self._sql.load_reactions, keys.reactions):
            facts.reactions.setdefault((ConvId(conv), target, UserId(user)), set()).add(emoji)
        changed = sorted({conv for conv, _target, _user in keys.group_targets if _is_large(facts, conv)})
        for conv, latest in self.each(self._sql.load_latest_joins, changed):
            facts.latest_join[ConvId(conv)] = latest

    def members(self, facts: Facts, keys: Wanted) -> None:
        """All members of small groups get copies; of a large one only those that somebody acts on matter."""
        small = [conv for conv in keys.groups if conv in facts.conversations and not _is_large(facts, conv)]
        asked = sorted(pair for pair in keys.members if _is_large(facts, pair[0]))
        for statement, members in ((self._sql.load_rosters, small), (self._sql.load_roles, asked)):
            for conv, user, role, visible_from in self.each(statement, members):
                facts.roles.setdefault(ConvId(conv), {})[UserId(user)] = role
                facts.visible_from[ConvId(conv), UserId(user)] = visible_from

    def successions(self, facts: Facts, keys: Wanted) -> None:
        """Of a large group, those of whom one may have to own it."""
        for conv in sorted(conv for conv in keys.successions if _is_large(facts, conv)):
            for user, role, visible_from in self._connection.execute(self._sql.load_heirs, {"conv": conv}):
                facts.roles.setdefault(conv, {}).setdefault(UserId(user), role)
                facts.visible_from.setdefault((conv, UserId(user)), visible_from)


def _is_large(facts: Facts, conv: ConvId) -> bool:
    state = facts.conversations.get(conv)
    return state is not None and state.is_large
