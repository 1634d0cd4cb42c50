"""What a client is told: CONNACK, acknowledgements of every kind and DISCONNECT, each in the words of its protocol level.

The broker decides in the reason codes of MQTT 5. A client of 5 gets them, with a text for people where it wants one
(Request Problem Information) and takes so much (Maximum Packet Size). A client of 3.1.1 gets the return code that
comes nearest, or nothing where that version has no word for it.
"""

from typing import TYPE_CHECKING, Final

from broker.mqtt.codec import PUBACK, PUBREC, ack, encode
from broker.mqtt.fields import MAX_REMAINING
from broker.mqtt.packets import LEVEL_5, LEVEL_311, Connack, Disconnect, Puback, Pubrec, Suback, Unsuback
from broker.mqtt.properties import Properties
from broker.mqtt.reasons import FAILED, Reason, connect_code

if TYPE_CHECKING:
    from broker.mqtt.packets import Connect, Packet
    from broker.session import Session
    from broker.settings import BrokerSettings
    from broker.terms import Terms

_TEXTS: Final[dict[int, str]] = {
    Reason.UNSPECIFIED_ERROR: "something went wrong here; it may work later",
    Reason.CLIENT_IDENTIFIER_NOT_VALID: "this client identifier cannot be used",
    Reason.BAD_USER_NAME_OR_PASSWORD: "the user name or the password is wrong, or missing",
    Reason.NOT_AUTHORIZED: "this client may not do that",
    Reason.SERVER_UNAVAILABLE: "the database does not answer; try again later",
    Reason.SERVER_BUSY: "too much at once; try again later",
    Reason.SERVER_SHUTTING_DOWN: "the server is shutting down",
    Reason.BAD_AUTHENTICATION_METHOD: "there is no enhanced authentication here",
    Reason.KEEP_ALIVE_TIMEOUT: "nothing was heard for one and a half times the keep-alive",
    Reason.SESSION_TAKEN_OVER: "another connection has taken over this client identifier",
    Reason.PACKET_IDENTIFIER_NOT_FOUND: "no such packet identifier is in use",
    Reason.RECEIVE_MAXIMUM_EXCEEDED: "more at QoS 1 and 2 than the receive maximum allows",
    Reason.TOPIC_FILTER_INVALID: "that is no topic filter, or has too many levels",
    Reason.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED: "an inbox cannot be shared",
    Reason.QUOTA_EXCEEDED: "nothing was kept; try again later",
    Reason.ADMINISTRATIVE_ACTION: "the login was ended",
    Reason.PAYLOAD_FORMAT_INVALID: "the payload is not what it says it is, or has to be",
    Reason.CONNECTION_RATE_EXCEEDED: "too many attempts; try again later",
}


def connack(packet: "Connect", session: "Session", settings: "BrokerSettings", *, present: bool) -> bytes:
    """The CONNACK that says yes to a CONNECT, and what may be expected of us (3.2.2.3)."""
    if packet.level < LEVEL_5:
        # That byte is reserved in MQTT 3.1.
        return encode(Connack(session_present=present and packet.level >= LEVEL_311, code=0))
    said = packet.properties
    asked = 0 if said is None or said.session_expiry_interval is None else said.session_expiry_interval
    properties = Properties(
        session_expiry_interval=None if session.expiry == asked else session.expiry,
        assigned_client_identifier=None if packet.client_id else session.client_id,
        server_keep_alive=None if (granted := keep_alive(packet, settings)) == packet.keep_alive else granted,
        receive_maximum=settings.inbound_window,
        # Where there is no limit but the protocol's own, there is nothing to say.
        maximum_packet_size=None if (most := settings.max_packet_bytes) > MAX_REMAINING else most,
        topic_alias_maximum=settings.alias_maximum or None,
    )
    return encode(Connack(session_present=present, code=0, properties=properties), LEVEL_5)


def keep_alive(packet: "Connect", settings: "BrokerSettings") -> int:
    """The keep-alive that holds, in seconds, 0 for none: what the client said, unless it can be told otherwise."""
    most = settings.keep_alive_max
    if packet.level < LEVEL_5 or most is None or 0 < packet.keep_alive <= most:
        return packet.keep_alive
    return most


def refused_connack(packet: "Connect", reason: int, text: str = "", *, explain: bool = True) -> bytes:
    """The CONNACK that says no."""
    if packet.level < LEVEL_5:
        return encode(Connack(session_present=False, code=connect_code(reason)))
    said = packet.properties
    why = _said(text or _TEXTS.get(reason)) if explain else None
    whole = Connack(session_present=False, code=reason, properties=why)
    # A CONNACK may say why whether or not it was asked for (3.1.2.11.7), but not more than the client takes.
    return _fitting(
        whole, Connack(session_present=False, code=reason), None if said is None else said.maximum_packet_size
    )


def acknowledgement(terms: "Terms", qos: int, packet_id: int, reason: int = 0) -> bytes:
    """PUBACK or PUBREC. 3.1.1 has no way to say no there."""
    if reason == 0 or terms.level < LEVEL_5:
        return ack(PUBACK if qos == 1 else PUBREC, packet_id)
    kind = Puback if qos == 1 else Pubrec
    properties = _said(_TEXTS.get(reason)) if terms.problem_information else None
    return _fitting(kind(packet_id, reason, properties), kind(packet_id, reason), terms.maximum_packet_size)


def suback(terms: "Terms", packet_id: int, codes: bytes) -> bytes:
    """SUBACK. Level 4 knows one refusal only; level 5 is told why the first one was refused."""
    if terms.level < LEVEL_5:
        return encode(Suback(packet_id, bytes(min(code, FAILED) for code in codes)))
    whole = Suback(packet_id, codes, _first_refusal(terms, codes))
    return _fitting(whole, Suback(packet_id, codes), terms.maximum_packet_size)


def unsuback(terms: "Terms", packet_id: int, codes: bytes) -> bytes:
    """UNSUBACK, likewise."""
    if terms.level < LEVEL_5:
        return encode(Unsuback(packet_id))
    whole = Unsuback(packet_id, codes, _first_refusal(terms, codes))
    return _fitting(whole, Unsuback(packet_id, codes), terms.maximum_packet_size)


def _first_refusal(terms: "Terms", codes: bytes) -> Properties | None:
    reason = next((code for code in codes if code >= FAILED), None)
    return None if reason is None or not terms.problem_information else _said(_TEXTS.get(reason))


def disconnect(terms: "Terms", reason: int, text: str = "") -> bytes:
    """The DISCONNECT of a server; nothing at level 4, which has none."""
    if terms.level < LEVEL_5:
        return b""
    whole = Disconnect(reason, _said(text or _TEXTS.get(reason)) if terms.explains else None)
    return _fitting(whole, Disconnect(reason), terms.maximum_packet_size)


def _said(text: str | None) -> Properties | None:
    return Properties(reason_string=text) if text else None


def _fitting(whole: "Packet", bare: "Packet", most: int | None) -> bytes:
    """Level 5. The bare packet if the whole is more than the client takes; nothing if that is too much as well."""
    data = encode(whole, LEVEL_5)
    if most is None or len(data) <= most:
        return data
    data = encode(bare, LEVEL_5)
    return data if len(data) <= most else b""
