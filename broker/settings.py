"""What can be tuned about the broker. Each number bounds something; none of them is a secret."""

from dataclasses import dataclass

from pabal.messages import MAX_PACKET_BYTES


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """Bounds and times of the data plane.

    Attributes:
        max_packet_bytes: greatest MQTT packet taken, its fixed header included.
        max_connect_bytes: greatest first packet; strangers cost no more memory than this each.
        connect_timeout: seconds that a client may take until its CONNECT is here, whole.
        connection_attempts_per_minute: from one address, so many at once and so many a minute; None: any number.
        connections_per_address: at the same time, from one address; None: any number.
        connections: at the same time, in all; None: any number.
        login_limit: logins in flight; further ones wait, unread.
        window: QoS 1 and 2 messages sent on a connection and not yet acknowledged.
        unsettled_limit: packets of a connection that wait for the bridge; above it the connection is not read. Also
            the Receive Maximum that a client of MQTT 5 is told, unless that is set.
        receive_maximum: that; None: as above.
        malformed_connect_answered: whether MQTT 5 clients get a CONNACK for it, not just the end of the connection.
        strict_topics: whether a filter that is none, or a topic of too many levels, ends the connection, as the standard
            lets us; else it is refused like one that is not allowed.
        reason_strings: whether MQTT 5 clients are told in words why, beside the reason code.
        queue_messages, queue_bytes: what waits in memory for one offline or slow session; the oldest goes first.
        write_buffer_bytes: above it a connection counts as slow: QoS 0 is dropped, QoS 1 waits.
        close_grace: seconds that a closing connection has to take what was written to it.
        queue_bytes_total: what waits in memory for all sessions together; above it each loses its own oldest.
        unsaved_limit: messages for persistent sessions that wait for the database; above it more are not taken.
        save_delay: seconds that what nobody waits for may gather before it goes to disk.
        alias_maximum: topics of a connection that are given a number, if the client takes that many; and as many that
            the client may give one.
        keep_alive_max: seconds; a client of MQTT 5 that asks for more, or for none, is told this (None: as it asks).
        session_expiry_max: seconds that a session is kept, at most, without its client; NEVER of MQTT 5 becomes this.
        sessions_total: persistent sessions of all together; a further one is refused.
        retained_messages, retained_bytes: of all topics together; a further one is refused (0x97).
        retained_message_bytes: of one, likewise.
        session_days: after how many days unseen a persistent session is forgotten.
        sessions_per_user: persistent sessions of one user; a further one is refused (0x05).
        offence_limit, offence_seconds: so many refused publishes within so many seconds close the connection.
        tick: seconds between two looks at keep-alives and deadlines.
        sweep_interval: seconds between two looks for expired sessions.
        sys_interval: seconds between two rounds of the `$SYS` topics; 0: there are none.
        ws_origins: web pages' origins that may open a WebSocket; empty: any. Who names none is no web page.
        retry_delay: seconds after which the inbox is read again when the database did not answer.
    """

    max_packet_bytes: int = MAX_PACKET_BYTES
    max_connect_bytes: int = 64 * 1024
    connect_timeout: float = 5.0
    connection_attempts_per_minute: int | None = None
    connections_per_address: int | None = None
    connections: int | None = None
    login_limit: int = 64
    window: int = 64
    unsettled_limit: int = 128
    receive_maximum: int | None = None
    reason_strings: bool = True
    strict_topics: bool = False
    malformed_connect_answered: bool = True
    queue_messages: int = 1000
    queue_bytes: int = 1024 * 1024
    write_buffer_bytes: int = 256 * 1024
    close_grace: float = 5.0
    queue_bytes_total: int = 256 * 1024 * 1024
    unsaved_limit: int = 50_000
    save_delay: float = 0.1
    alias_maximum: int = 16
    keep_alive_max: int | None = None
    session_expiry_max: int = 30 * 24 * 3600
    sessions_total: int = 100_000
    retained_messages: int = 100_000
    retained_bytes: int = 256 * 1024 * 1024
    retained_message_bytes: int = 256 * 1024
    session_days: float = 30.0
    sessions_per_user: int = 1000
    offence_limit: int = 100
    offence_seconds: float = 60.0
    tick: float = 0.5
    sweep_interval: float = 3600.0
    sys_interval: float = 0.0
    ws_origins: tuple[str, ...] = ()
    retry_delay: float = 0.5

    @property
    def inbound_window(self) -> int:
        """How many QoS 1 and 2 messages a client of MQTT 5 may have under way to us: its Receive Maximum."""
        return self.unsettled_limit if self.receive_maximum is None else self.receive_maximum
