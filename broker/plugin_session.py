"""The session that amqtt's plugins see: their class, without its state machine and queues.

amqtt's own `Session.__init__` builds a `transitions.Machine` and two queues, tens of kilobytes for each
client. Plugins read plain attributes, so that is what they get, with the state looked up when asked for.
"""

from asyncio import Queue
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, cast

from amqtt.session import ApplicationMessage, IncomingApplicationMessage, OutgoingApplicationMessage, Session

if TYPE_CHECKING:
    import ssl

    from transitions import Machine

    from broker.mqtt.packets import Connect
    from broker.session import Session as Core


class _State:
    """What plugins ask of `session.transitions`."""

    __slots__ = ("_view",)

    def __init__(self, view: "PluginSession") -> None:
        self._view = view

    @property
    def state(self) -> str:
        core = self._view.core
        if core is None:
            return "new"
        return "disconnected" if core.connection is None else "connected"

    def is_connected(self) -> bool:
        return self.state == "connected"

    def is_disconnected(self) -> bool:
        return self.state == "disconnected"

    def is_new(self) -> bool:
        return self.state == "new"


class PluginSession(Session):
    """One client as plugins see it. `attributes` is theirs, kept as long as the session.

    The password is there during the login only.
    """

    # Defaults on the class: an instance holds what differs.
    remote_address: str | None = None
    remote_port: int | None = None
    client_id: str | None = None
    clean_session: bool | None = None
    will_flag: bool = False
    will_message: bytes | bytearray | None = None
    will_qos: int | None = None
    will_retain: bool | None = None
    will_topic: str | None = None
    keep_alive: int = 0
    publish_retry_delay: int = 0
    broker_uri: str | None = None
    username: str | None = None
    password: str | None = None
    cafile: str | None = None
    capath: str | None = None
    cadata: bytes | None = None
    parent: int = 0
    last_connect_time: int | None = None
    last_disconnect_time: int | None = None
    ssl_object: "ssl.SSLObject | None" = None
    is_anonymous: bool = False
    _packet_id: int = 0

    core: "Core | None" = None

    def __init__(self) -> None:
        # Not the parent's: see the module's docstring.
        self.attributes: dict[str, Any] = {}

    @classmethod
    def of(cls, packet: "Connect", address: str, port: int, tls: "ssl.SSLObject | None") -> "PluginSession":
        """What a CONNECT says, before anybody knows whether it is true."""
        view = cls()
        view.remote_address, view.remote_port, view.ssl_object = address, port, tls
        view.client_id, view.clean_session, view.keep_alive = (
            packet.client_id,
            packet.clean,
            packet.keep_alive,
        )
        view.username = packet.username
        if packet.password is not None:
            try:
                view.password = packet.password.decode()
            except UnicodeDecodeError:
                view.password = None
        if packet.will is not None:
            view.will_flag = True
            view.will_topic, view.will_message = packet.will.topic, packet.will.payload
            view.will_qos, view.will_retain = packet.will.qos, packet.will.retain
        return view

    @property
    def transitions(self) -> "Machine":  # type: ignore[override]  # read-only here
        return cast("Machine", _State(self))

    @property
    def inflight_out(self) -> "OrderedDict[int, OutgoingApplicationMessage]":  # type: ignore[override]  # read-only here
        return OrderedDict()

    @property
    def inflight_in(self) -> "OrderedDict[int, IncomingApplicationMessage]":  # type: ignore[override]  # read-only here
        return OrderedDict()

    @property
    def inflight_out_count(self) -> int:
        return 0 if self.core is None else len(self.core.inflight)

    @property
    def inflight_in_count(self) -> int:
        core = self.core
        if core is None or core.connection is None or core.connection.tickets is None:
            return 0
        return len(core.connection.tickets)

    @property
    def retained_messages(self) -> "Queue[ApplicationMessage]":  # type: ignore[override]  # read-only here
        return Queue()

    @property
    def delivered_message_queue(self) -> "Queue[ApplicationMessage]":  # type: ignore[override]  # read-only here
        return Queue()

    @property
    def retained_messages_count(self) -> int:
        return 0 if self.core is None or self.core.queue is None else len(self.core.queue)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Session) and self.client_id == other.client_id

    def __hash__(self) -> int:
        return hash(self.client_id)
