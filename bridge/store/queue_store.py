"""Messages on their way to MQTT sessions: one statement for each table and kind of change, whatever their number."""

from binascii import a2b_base64
from typing import Any

from sqlalchemy import Connection, TextClause, text

from bridge.ports import QueueChanges, StoredDelivery, StoredQueues
from bridge.store.dialect import Dialect, rows


class QueueStatements:
    """Made once for a dialect. Each takes a JSON array `rows`."""

    def __init__(self, d: Dialect) -> None:
        each = d.each("rows")
        client, number = d.field(0), d.field(1, "bigint")
        self.purge_deliveries = text(
            "DELETE FROM mqtt_delivery WHERE (client_id, place) IN"
            f" (SELECT m.client_id, m.place FROM {each} CROSS JOIN mqtt_delivery AS m"
            f" WHERE m.client_id = {client} AND m.place <= {number})"
        )
        self.purge_incoming = text(
            f"DELETE FROM mqtt_incoming WHERE client_id IN (SELECT {client} FROM {each})"
        )
        self.delete_deliveries = text(
            f"DELETE FROM mqtt_delivery WHERE (client_id, place) IN (SELECT {client}, {number} FROM {each})"
        )
        self.delete_messages = text(
            f"DELETE FROM mqtt_message WHERE message IN (SELECT {d.field(0, 'bigint')} FROM {each})"
        )
        self.insert_messages = text(
            "INSERT INTO mqtt_message (message, data)"
            f" SELECT {d.fields('bigint', 'text')} FROM {each} WHERE true ON CONFLICT (message) DO NOTHING"
        )
        self.insert_deliveries = text(
            "INSERT INTO mqtt_delivery (client_id, place, message, packet_id, options, details)"
            f" SELECT {d.fields('text', 'bigint', 'bigint', 'bigint', 'bigint', 'text')} FROM {each}"
            " WHERE true ON CONFLICT (client_id, place) DO NOTHING"
        )
        self.release = text(
            f"UPDATE mqtt_delivery SET options = {d.field(2, 'bigint')} FROM {each}"
            f" WHERE mqtt_delivery.client_id = {client} AND mqtt_delivery.place = {number}"
        )
        self.move_sent = text(
            f"UPDATE mqtt_session SET sent = {d.greatest}(sent, {number}) FROM {each}"
            f" WHERE client_id = {client}"
        )
        self.give_back = text(
            f"DELETE FROM mqtt_incoming WHERE (client_id, packet_id) IN (SELECT {client}, {number} FROM {each})"
        )
        self.take = text(
            "INSERT INTO mqtt_incoming (client_id, packet_id)"
            f" SELECT {d.fields('text', 'bigint')} FROM {each}"
            " WHERE true ON CONFLICT (client_id, packet_id) DO NOTHING"
        )


def write(connection: Connection, sql: QueueStatements, changes: QueueChanges) -> None:
    """In the transaction that is open."""
    steps: tuple[tuple[TextClause, list[Any]], ...] = (
        (sql.purge_deliveries, changes.purged),
        (sql.purge_incoming, changes.purged),
        (sql.delete_deliveries, changes.done),
        (sql.delete_messages, [(number,) for number in changes.gone]),
        (sql.insert_messages, changes.messages),
        (
            sql.insert_deliveries,
            [
                (d.client_id, d.place, d.message, d.packet_id, d.options, d.details)
                for d in changes.deliveries
            ],
        ),
        (sql.release, changes.released),
        (sql.move_sent, changes.sent),
        (sql.give_back, changes.given_back),
        (sql.take, changes.taken),
    )
    for statement, written in steps:
        if written:
            connection.execute(statement, {"rows": rows(written)})


def load(connection: Connection) -> StoredQueues:
    """All of it, deliveries in order."""
    messages = connection.execute(text("SELECT message, data FROM mqtt_message"))
    deliveries = connection.execute(
        text(
            "SELECT client_id, place, message, packet_id, options, details FROM mqtt_delivery"
            " ORDER BY client_id, place"
        )
    )
    sent = connection.execute(text("SELECT client_id, sent FROM mqtt_session"))
    incoming = connection.execute(
        text("SELECT client_id, packet_id FROM mqtt_incoming ORDER BY client_id, packet_id")
    )
    return StoredQueues(
        {number: a2b_base64(data) for number, data in messages},
        [StoredDelivery(*row) for row in deliveries],
        {client_id: place for client_id, place in sent},  # noqa: C416 -- rows are no pairs for dict()
        [(client_id, packet_id) for client_id, packet_id in incoming],
    )
