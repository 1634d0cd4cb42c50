"""Looking after a database: whether its promises hold, and copies of SQLite's file while it is in use."""

import os
import secrets
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine, text
from sqlalchemy.exc import DatabaseError

from bridge.store import meta, schema
from bridge.store.failures import answering
from bridge.store.unusable import UnusableDatabase

_SHOWN = 20
# Looked through in some 0.2 s.
LOOKED_OVER_BYTES = 64 * 1024 * 1024
_PAGES = 1_024
_PAUSE_S = 0.005
_STAMP = "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"


@dataclass(frozen=True, slots=True)
class Rule:
    """Something that always holds. `breaches` selects one text for each place where it does not."""

    name: str
    breaches: str


# Each reads whole tables by key, which SQLite's own integrity check does anyway.
RULES = (
    Rule(
        "message_ids of a direct conversation are 1, 2, 3 … up to its head",
        "SELECT c.conv_id FROM conversation c LEFT JOIN (SELECT conv_id, count(*) n, min(message_id) low,"
        " max(message_id) high FROM direct_message GROUP BY conv_id) m ON m.conv_id = c.conv_id"
        " WHERE c.kind = 'direct' AND (coalesce(m.n, 0) <> c.head OR coalesce(m.high, 0) <> c.head"
        " OR coalesce(m.low, 1) <> 1) LIMIT :limit",
    ),
    Rule(
        "message_ids of a group are 1, 2, 3 … up to its head",
        "SELECT c.conv_id FROM conversation c LEFT JOIN (SELECT conv_id, count(*) n, min(message_id) low,"
        " max(message_id) high FROM group_message GROUP BY conv_id) m ON m.conv_id = c.conv_id"
        " WHERE c.kind = 'group' AND (coalesce(m.n, 0) <> c.head OR coalesce(m.high, 0) <> c.head"
        " OR coalesce(m.low, 1) <> 1) LIMIT :limit",
    ),
    Rule(
        "every message is in a conversation",
        "SELECT DISTINCT m.conv_id FROM (SELECT conv_id FROM direct_message UNION SELECT conv_id FROM group_message) m"
        " LEFT JOIN conversation c ON c.conv_id = m.conv_id WHERE c.conv_id IS NULL LIMIT :limit",
    ),
    Rule(
        "seqs of an inbox are dense from the oldest kept up to its head",
        "SELECT h.user_id FROM inbox_head h LEFT JOIN (SELECT user_id, count(*) n, min(seq) low, max(seq) high"
        " FROM inbox GROUP BY user_id) i ON i.user_id = h.user_id"
        " WHERE coalesce(i.n, 0) <> h.head - h.min_seq + 1 OR coalesce(i.high, h.head) <> h.head"
        " OR coalesce(i.low, h.min_seq) <> h.min_seq LIMIT :limit",
    ),
    Rule(
        "every update is in an inbox that has a head",
        "SELECT DISTINCT i.user_id FROM inbox i LEFT JOIN inbox_head h ON h.user_id = i.user_id"
        " WHERE h.user_id IS NULL LIMIT :limit",
    ),
    Rule(
        "every message that an inbox points to is there",
        "SELECT i.user_id || ' seq ' || i.seq FROM inbox i"
        " LEFT JOIN direct_message d ON d.conv_id = i.conv_id AND d.message_id = i.message_id"
        " LEFT JOIN group_message g ON g.conv_id = i.conv_id AND g.message_id = i.message_id"
        " WHERE i.type = 'message' AND d.conv_id IS NULL AND g.conv_id IS NULL LIMIT :limit",
    ),
    Rule(
        "nothing is left of what was recalled or has expired",
        "SELECT m.conv_id || ' ' || m.message_id FROM (SELECT conv_id, message_id, text, body, recalled_ts FROM direct_message"
        " UNION ALL SELECT conv_id, message_id, text, body, recalled_ts FROM group_message) m"
        " WHERE m.recalled_ts IS NOT NULL AND (m.text IS NOT NULL OR m.body IS NOT NULL) LIMIT :limit",
    ),
    Rule(
        "whatever somebody has deleted from the own view is a message",
        "SELECT h.user_id || ' ' || h.conv_id || ' ' || h.message_id FROM hidden_message h"
        " LEFT JOIN direct_message d ON d.conv_id = h.conv_id AND d.message_id = h.message_id"
        " LEFT JOIN group_message g ON g.conv_id = h.conv_id AND g.message_id = h.message_id"
        " WHERE coalesce(d.type, g.type, '') <> 'message' LIMIT :limit",
    ),
    Rule(
        "whatever names somebody is a message of a group",
        "SELECT n.user_id || ' ' || n.conv_id || ' ' || n.message_id FROM mention n LEFT JOIN group_message g"
        " ON g.conv_id = n.conv_id AND g.message_id = n.message_id"
        " WHERE coalesce(g.type, '') <> 'message' LIMIT :limit",
    ),
    Rule(
        "no link was used more often than it may be",
        "SELECT code FROM invite WHERE used > uses LIMIT :limit",
    ),
    Rule(
        "nobody has read beyond a conversation's head",
        "SELECT m.conv_id || ' ' || m.user_id FROM member m JOIN conversation c ON c.conv_id = m.conv_id"
        " WHERE m.read_upto > c.head OR m.delivered_upto > c.head LIMIT :limit",
    ),
    Rule(
        "a group that has members has one owner",
        "SELECT m.conv_id FROM member m JOIN conversation c ON c.conv_id = m.conv_id"
        " WHERE c.kind = 'group' AND m.to_id IS NULL GROUP BY m.conv_id"
        " HAVING sum(CASE m.role WHEN 'owner' THEN 1 ELSE 0 END) <> 1 LIMIT :limit",
    ),
    Rule(
        "no device's cursor is beyond its inbox",
        "SELECT d.user_id || ' ' || d.device_id FROM device d LEFT JOIN inbox_head h ON h.user_id = d.user_id"
        " WHERE d.cursor > coalesce(h.head, 0) LIMIT :limit",
    ),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule looked at; `breaches` is empty where it holds, and cut after 20."""

    rule: str
    breaches: list[str]


def check(engine: Engine) -> list[Finding]:
    """Look at everything in one snapshot; safe beside a running server.

    Raises: schema.SchemaError unless the schema is this version's; Unavailable if the database does not answer.
    """
    schema.check_current(engine)
    findings: list[Finding] = []
    with answering(), engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            said = [str(row[0]) for row in connection.execute(text(f"PRAGMA integrity_check({_SHOWN})"))]
            findings.append(Finding("the file is sound", [line for line in said if line != "ok"]))
        for rule in RULES:
            rows = connection.execute(text(rule.breaches), {"limit": _SHOWN})
            findings.append(Finding(rule.name, [str(row[0]) for row in rows]))
    return findings


def look_over(engine: Engine) -> None:
    """A short look at SQLite's file before it is served from, where it is small enough for that; a damaged page is
    found by `check` in any file, and otherwise when somebody wants what was on it.

    Raises: UnusableDatabase if it is damaged.
    """
    file = Path(engine.url.database or "")
    if file.stat().st_size > LOOKED_OVER_BYTES:
        return
    try:
        with engine.connect() as connection:
            said = str(connection.execute(text("PRAGMA quick_check(1)")).scalar_one())
    except DatabaseError as error:
        said = str(error.orig)
    if said != "ok":
        raise UnusableDatabase(
            f"{file} is not a usable database: {said.removeprefix('*** in database main ***').strip()}",
            "restore it from a backup, or move it away to begin with an empty one",
        )


def durability(engine: Engine) -> str | None:
    """What keeps an accepted message from being safe from a power cut, None if nothing does."""
    if engine.dialect.name == "sqlite":
        return None
    with answering(), engine.begin() as connection:
        fsync = connection.execute(text("SHOW fsync")).scalar_one()
    return None if fsync == "on" else f"runs with fsync = {fsync}"


def backup(source: Path, target: Path) -> int:
    """Copy a SQLite database that may be in use. Returns the copy's size in bytes.

    The copy is one moment's state, readable by its owner only, on disk when this returns; it has its name only
    once it is whole. It says of itself that it is a copy, so that a server that is started on it makes a new
    epoch, however young it is.

    Raises: FileExistsError if there is something at `target` already; OSError if it cannot be written;
    sqlite3.Error if the source cannot be read.
    """
    if target.exists():
        raise FileExistsError(str(target))
    scratch = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    os.close(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as old,
            closing(sqlite3.connect(scratch)) as new,
        ):
            # In steps, with pauses, so that a server beside it is not held up.
            old.backup(new, pages=_PAGES, sleep=_PAUSE_S)
            with new:
                new.execute(_STAMP, (meta.COPIED, datetime.now(UTC).isoformat(timespec="seconds")))
            new.execute("PRAGMA journal_mode=DELETE")
        with scratch.open("rb") as file:
            os.fsync(file.fileno())
            size = os.fstat(file.fileno()).st_size
        # A link, unlike a rename, refuses to put something else out of its place.
        os.link(scratch, target)
    finally:
        scratch.unlink(missing_ok=True)
    return size
