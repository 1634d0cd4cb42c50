"""Messages whose requests are followed: a row each, for whoever pushes them in a process of its own."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from sqlalchemy import Connection, text

from bridge.store.dialect import Dialect, rows
from bridge.tracing import entry_of
from pabal.errors import PabalError
from pabal.trace import Trace, parse

# Longer than any push is tried for.
KEPT_MS: Final = 48 * 3600 * 1000

_FORGET = text("DELETE FROM followed WHERE ts < :before")


class FollowedMessages:
    """Statements for one kind of database."""

    def __init__(self, d: Dialect) -> None:
        self._insert = text(
            "INSERT INTO followed (conv_id, message_id, trace, ts)"
            f" SELECT {d.field(0)}, {d.field(1, 'bigint')}, {d.field(2)}, :now FROM {d.each('rows')} WHERE true"
            " ON CONFLICT (conv_id, message_id) DO NOTHING"
        )
        self._select = text(
            f"SELECT f.conv_id, f.message_id, f.trace FROM {d.each('rows')} CROSS JOIN followed AS f"
            f" WHERE f.conv_id = {d.field(0)} AND f.message_id = {d.field(1, 'bigint')}"
        )

    def write(
        self,
        connection: Connection,
        traces: Mapping[int, str],
        outcomes: Sequence[bytes | PabalError | int | None],
        now: int,
    ) -> None:
        """`traces` are those of commands, by their place among the outcomes. What is old goes with it."""
        made = []
        for place, trace in traces.items():
            reply = outcomes[place]
            entry = entry_of(reply) if isinstance(reply, bytes) else {}
            if len(entry) > 1:
                made.append((entry["conv"], entry["message_id"], trace))
        if made:
            connection.execute(self._insert, {"rows": rows(made), "now": now})
            connection.execute(_FORGET, {"before": now - KEPT_MS})

    def read(self, connection: Connection, keys: Iterable[tuple[str, int]]) -> dict[tuple[str, int], Trace]:
        """Messages by conversation and number; those that are not followed are left out."""
        asked = rows(sorted(set(keys)))
        found = connection.execute(self._select, {"rows": asked}).all()
        traces = {(conv, message_id): parse(trace) for conv, message_id, trace in found}
        return {key: trace for key, trace in traces.items() if trace is not None}
