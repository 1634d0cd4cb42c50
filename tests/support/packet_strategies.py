"""Hypothesis strategies for every packet of either protocol level."""

from hypothesis import strategies as st

from broker.mqtt import packets as p
from broker.mqtt.properties import Properties

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0+#"), min_size=1, max_size=20)
filters = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
ids = st.integers(1, 65_535)
qos = st.integers(0, 2)
_twos = st.integers(0, 65_535)
_fours = st.integers(0, 0xFFFF_FFFF)
_pairs = st.lists(st.tuples(texts, texts), max_size=3).map(tuple)
_bytes = st.binary(max_size=20)

_VALUES = {
    "payload_format_indicator": st.booleans(),
    "message_expiry_interval": _fours,
    "content_type": texts,
    "response_topic": names,
    "correlation_data": _bytes,
    "session_expiry_interval": _fours,
    "assigned_client_identifier": texts,
    "server_keep_alive": _twos,
    "authentication_method": texts,
    "request_problem_information": st.booleans(),
    "will_delay_interval": _fours,
    "request_response_information": st.booleans(),
    "response_information": texts,
    "server_reference": texts,
    "reason_string": texts,
    "receive_maximum": ids,
    "topic_alias_maximum": _twos,
    "topic_alias": ids,
    "maximum_qos": st.booleans(),
    "retain_available": st.booleans(),
    "user_properties": _pairs,
    "maximum_packet_size": st.integers(1, 0xFFFF_FFFF),
    "wildcard_subscription_available": st.booleans(),
    "subscription_identifier_available": st.booleans(),
    "shared_subscription_available": st.booleans(),
}
_MESSAGE = (
    "payload_format_indicator",
    "message_expiry_interval",
    "content_type",
    "response_topic",
    "correlation_data",
    "user_properties",
)
_WHY = ("reason_string", "user_properties")


@st.composite
def properties(draw, *allowed):
    """Some of these, or None."""
    chosen = draw(st.lists(st.sampled_from(allowed), unique=True))
    found = Properties(**{name: draw(_VALUES[name]) for name in chosen})
    return None if found == Properties() else found


def _none():
    return st.none()


@st.composite
def publishes(draw, level):
    qos_of = draw(qos)
    props = draw(properties(*_MESSAGE, "topic_alias")) if level == 5 else None
    topic = draw(texts.map(lambda _: "") | names) if props is not None and props.topic_alias else draw(names)
    return p.Publish(
        topic,
        draw(st.binary(max_size=300)),
        qos_of,
        draw(st.booleans()),
        draw(st.booleans()) if qos_of else False,
        draw(ids) if qos_of else 0,
        props,
    )


@st.composite
def connects(draw, level):
    five = level == 5
    will = st.builds(
        p.Will,
        names,
        _bytes,
        qos,
        st.booleans(),
        properties(*_MESSAGE, "will_delay_interval") if five else _none(),
    )
    user = draw(st.none() | texts)
    said = properties(
        "session_expiry_interval",
        "receive_maximum",
        "maximum_packet_size",
        "topic_alias_maximum",
        "request_response_information",
        "request_problem_information",
        "user_properties",
        "authentication_method",
    )
    return p.Connect(
        draw(texts),
        draw(st.booleans()),
        draw(_twos),
        user,
        draw(st.none() | _bytes) if user is not None or five else None,
        draw(st.none() | will),
        level,
        draw(said) if five else None,
    )


def _acks(kind, codes, level):
    if level == 4:
        return st.builds(kind, ids)
    return st.builds(kind, ids, st.sampled_from(codes), properties(*_WHY))


def packets(level):
    """Any packet of this level."""
    five = level == 5
    why = properties(*_WHY) if five else _none()
    published, released = [0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99], [0, 0x92]
    granted = [0, 1, 2, 0x80, 0x87, 0x8F, 0xA2] if five else [0, 1, 2, 0x80]
    option = st.tuples(qos, st.booleans(), st.integers(0, 2)).map(lambda o: o[0] | o[1] << 3 | o[2] << 4)
    kinds = [
        connects(level),
        publishes(level),
        st.builds(
            p.Connack,
            st.booleans(),
            st.sampled_from([0, 0x80, 0x87, 0x9F]) if five else st.integers(0, 5),
            properties(
                *(set(_VALUES) - {"topic_alias", "will_delay_interval"} - set(_MESSAGE[:-1]) - _CONNECT_ONLY)
            )
            if five
            else _none(),
        ),
        _acks(p.Puback, published, level),
        _acks(p.Pubrec, published, level),
        _acks(p.Pubrel, released, level),
        _acks(p.Pubcomp, released, level),
        st.builds(
            p.Subscribe,
            ids,
            st.lists(st.tuples(filters, option if five else qos), min_size=1, max_size=5).map(tuple),
            properties("user_properties") if five else _none(),
        ),
        st.builds(p.Suback, ids, st.lists(st.sampled_from(granted), min_size=1).map(bytes), why),
        st.builds(
            p.Unsubscribe,
            ids,
            st.lists(filters, min_size=1, max_size=5).map(tuple),
            properties("user_properties") if five else _none(),
        ),
        st.sampled_from([p.Pingreq(), p.Pingresp(), p.Disconnect()]),
    ]
    if five:
        kinds += [
            st.builds(
                p.Unsuback, ids, st.lists(st.sampled_from([0, 0x11, 0x87]), min_size=1).map(bytes), why
            ),
            st.builds(
                p.Disconnect,
                st.sampled_from([0, 4, 0x81, 0x8E, 0x93]),
                properties(*_WHY, "session_expiry_interval", "server_reference"),
            ),
            st.builds(p.Auth, st.sampled_from([0, 0x18, 0x19]), properties(*_WHY, "authentication_method")),
        ]
    else:
        kinds.append(st.builds(p.Unsuback, ids))
    return st.one_of(*kinds)


_CONNECT_ONLY = {"request_problem_information", "request_response_information"}
