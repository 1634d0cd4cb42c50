"""The one table of packets and their bytes, by protocol level; to be read in both directions."""

from broker.mqtt import packets as p
from broker.mqtt.packets import RetainHandling, subscription_options
from broker.mqtt.properties import Properties as Props
from broker.mqtt.reasons import Reason

CONNECT_5 = "10 %s 00 04 4d 51 54 54 05"

# What is the same in both.
BOTH = [
    (p.Puback(1), "40 02 00 01"),
    (p.Pubrec(0xFFFF), "50 02 ff ff"),
    (p.Pubrel(2), "62 02 00 02"),
    (p.Pubcomp(3), "70 02 00 03"),
    (p.Pingreq(), "c0 00"),
    (p.Pingresp(), "d0 00"),
    (p.Disconnect(), "e0 00"),
]

LEVEL_4 = [
    (p.Connect("a", clean=True, keep_alive=60), "10 0d 00 04 4d 51 54 54 04 02 00 3c 00 01 61"),
    (
        p.Connect("", clean=False, keep_alive=0, username="u", password=b"\x00\xff"),
        "10 13 00 04 4d 51 54 54 04 c0 00 00 00 00 00 01 75 00 02 00 ff",
    ),
    (
        p.Connect("a", will=p.Will("t", b"bye", qos=2, retain=True), keep_alive=1),
        "10 15 00 04 4d 51 54 54 04 36 00 01 00 01 61 00 01 74 00 03 62 79 65",
    ),
    (
        p.Connect("a", keep_alive=60, username="u", level=3),
        "10 12 00 06 4d 51 49 73 64 70 03 82 00 3c 00 01 61 00 01 75",
    ),
    (p.Connack(session_present=False, code=0), "20 02 00 00"),
    (p.Connack(session_present=True, code=0), "20 02 01 00"),
    (p.Connack(session_present=False, code=5), "20 02 00 05"),
    (p.Publish("a/b", b"hi"), "30 07 00 03 61 2f 62 68 69"),
    (p.Publish("a", b"", retain=True), "31 03 00 01 61"),
    (p.Publish("a", b"x", qos=1, packet_id=258), "32 06 00 01 61 01 02 78"),
    (p.Publish("a", b"x", qos=2, dup=True, packet_id=1), "3c 06 00 01 61 00 01 78"),
    (p.Publish("é€𝄞", b""), "30 0b 00 09 c3 a9 e2 82 ac f0 9d 84 9e"),
    (p.Publish("\ufeffa", b""), "30 06 00 04 ef bb bf 61"),
    (p.Subscribe(10, (("a/+", 1), ("#", 0))), "82 0c 00 0a 00 03 61 2f 2b 01 00 01 23 00"),
    (p.Suback(10, b"\x00\x01\x02\x80"), "90 06 00 0a 00 01 02 80"),
    (p.Unsubscribe(11, ("a", "b")), "a2 08 00 0b 00 01 61 00 01 62"),
    (p.Unsuback(11), "b0 02 00 0b"),
]

EVERY_CONNACK_PROPERTY = Props(
    session_expiry_interval=1,
    assigned_client_identifier="i",
    server_keep_alive=2,
    authentication_method="m",
    authentication_data=b"\xff",
    response_information="r",
    server_reference="s",
    reason_string="w",
    receive_maximum=3,
    topic_alias_maximum=4,
    maximum_qos=1,
    retain_available=True,
    user_properties=(("k", "v"),),
    maximum_packet_size=5,
    wildcard_subscription_available=True,
    subscription_identifier_available=False,
    shared_subscription_available=True,
)

LEVEL_5 = [
    (p.Connect("a", keep_alive=60, level=5), CONNECT_5 % "0e" + "02 00 3c 00 00 01 61"),
    (
        p.Connect("", clean=False, password=b"only", level=5),
        CONNECT_5 % "13" + "40 00 00 00 00 00 00 04 6f 6e 6c 79",
    ),
    (
        p.Connect(
            "a",
            level=5,
            properties=Props(
                session_expiry_interval=0xFFFF_FFFF,
                authentication_method="m",
                authentication_data=b"\x00",
                request_problem_information=False,
                request_response_information=True,
                receive_maximum=20,
                topic_alias_maximum=10,
                user_properties=(("a", "b"), ("a", "")),
                maximum_packet_size=0x0001_0000,
            ),
        ),
        CONNECT_5 % "37" + "02 00 00"
        "29 22 00 0a 11 ff ff ff ff 15 00 01 6d 16 00 01 00 17 00 19 01"
        "26 00 01 61 00 01 62 26 00 01 61 00 00 27 00 01 00 00 21 00 14 00 01 61",
    ),
    (
        p.Connect("a", keep_alive=1, level=5, will=p.Will("t", b"bye", qos=1)),
        CONNECT_5 % "17" + "0e 00 01 00 00 01 61 00 00 01 74 00 03 62 79 65",
    ),
    (
        p.Connect(
            "a",
            level=5,
            will=p.Will(
                "t",
                b"",
                retain=True,
                properties=Props(
                    payload_format_indicator=True,
                    message_expiry_interval=1,
                    content_type="c",
                    response_topic="r",
                    correlation_data=b"\x01",
                    will_delay_interval=5,
                    user_properties=(("", "v"),),
                ),
            ),
        ),
        CONNECT_5 % "32" + "26 00 00 00 00 01 61"
        "1e 01 01 02 00 00 00 01 03 00 01 63 08 00 01 72 09 00 01 01 18 00 00 00 05 26 00 00 00 01 76"
        "00 01 74 00 00",
    ),
    (p.Connack(session_present=True, code=0), "20 03 01 00 00"),
    (p.Connack(session_present=False, code=Reason.NOT_AUTHORIZED), "20 03 00 87 00"),
    (
        p.Connack(session_present=False, code=0, properties=EVERY_CONNACK_PROPERTY),
        (
            "20 3f 00 00 3c 22 00 04 11 00 00 00 01 12 00 01 69 13 00 02 15 00 01 6d 16 00 01 ff 1a 00 01 72 1c 00 01 73"
            "1f 00 01 77 24 01 25 01 26 00 01 6b 00 01 76 27 00 00 00 05 28 01 29 00 2a 01 21 00 03"
        ),
    ),
    (p.Publish("a/b", b"hi"), "30 08 00 03 61 2f 62 00 68 69"),
    (p.Publish("a", b"x", qos=1, packet_id=258), "32 07 00 01 61 01 02 00 78"),
    (p.Publish("a", b"x", qos=2, dup=True, retain=True, packet_id=1), "3d 07 00 01 61 00 01 00 78"),
    (p.Publish("", b"x", properties=Props(topic_alias=3)), "30 07 00 00 03 23 00 03 78"),
    (p.Publish("a", b"", properties=Props(topic_alias=0xFFFF)), "30 07 00 01 61 03 23 ff ff"),
    (
        p.Publish(
            "a",
            b"x",
            qos=1,
            packet_id=1,
            properties=Props(
                payload_format_indicator=False,
                message_expiry_interval=2,
                content_type="",
                response_topic="r",
                correlation_data=b"",
                subscription_identifiers=(1, 128, 268_435_455),
                topic_alias=1,
                user_properties=(("k", "v"), ("k", "w")),
            ),
        ),
        (
            "32 33 00 01 61 00 01"
            "2c 01 00 02 00 00 00 02 03 00 00 08 00 01 72 09 00 00 0b 01 0b 80 01 0b ff ff ff 7f 23 00 01"
            "26 00 01 6b 00 01 76 26 00 01 6b 00 01 77 78"
        ),
    ),
    (p.Puback(1, Reason.NO_MATCHING_SUBSCRIBERS), "40 03 00 01 10"),
    (p.Puback(1, 0, Props(user_properties=(("k", "v"),))), "40 0b 00 01 00 07 26 00 01 6b 00 01 76"),
    (p.Pubrec(1, Reason.QUOTA_EXCEEDED, Props(reason_string="w")), "50 08 00 01 97 04 1f 00 01 77"),
    (p.Pubrel(2, Reason.PACKET_IDENTIFIER_NOT_FOUND), "62 03 00 02 92"),
    (p.Pubcomp(3, Reason.PACKET_IDENTIFIER_NOT_FOUND), "70 03 00 03 92"),
    (p.Subscribe(10, (("a/+", 1), ("#", 0))), "82 0d 00 0a 00 00 03 61 2f 2b 01 00 01 23 00"),
    (
        p.Subscribe(
            1,
            (
                (
                    "a",
                    subscription_options(
                        2, no_local=True, retain_as_published=True, retain_handling=RetainHandling.NEVER
                    ),
                ),
                ("$share/g/a", subscription_options(1, retain_handling=RetainHandling.IF_NEW)),
            ),
            Props(subscription_identifiers=(321,), user_properties=(("k", "v"),)),
        ),
        "82 1e 00 01 0a 0b c1 02 26 00 01 6b 00 01 76 00 01 61 2e 00 0a 24 73 68 61 72 65 2f 67 2f 61 11",
    ),
    (p.Suback(10, b"\x00\x01\x02\x80\x87\x8f"), "90 09 00 0a 00 00 01 02 80 87 8f"),
    (p.Suback(1, b"\xa2", Props(reason_string="w")), "90 08 00 01 04 1f 00 01 77 a2"),
    (p.Unsubscribe(11, ("a", "b")), "a2 09 00 0b 00 00 01 61 00 01 62"),
    (
        p.Unsubscribe(1, ("a",), Props(user_properties=(("k", "v"),))),
        "a2 0d 00 01 07 26 00 01 6b 00 01 76 00 01 61",
    ),
    (p.Unsuback(11, b"\x00\x11"), "b0 05 00 0b 00 00 11"),
    (p.Unsuback(1, b"\x87", Props(reason_string="w")), "b0 08 00 01 04 1f 00 01 77 87"),
    (p.Disconnect(Reason.DISCONNECT_WITH_WILL_MESSAGE), "e0 01 04"),
    (
        p.Disconnect(
            Reason.SERVER_MOVED,
            Props(
                server_reference="s",
                reason_string="w",
                session_expiry_interval=1,
                user_properties=(("k", "v"),),
            ),
        ),
        "e0 16 9d 14 11 00 00 00 01 1c 00 01 73 1f 00 01 77 26 00 01 6b 00 01 76",
    ),
    (p.Auth(), "f0 00"),
    (
        p.Auth(Reason.CONTINUE_AUTHENTICATION, Props(authentication_method="m", authentication_data=b"\x01")),
        "f0 0a 18 08 15 00 01 6d 16 00 01 01",
    ),
    (p.Auth(Reason.REAUTHENTICATE, Props(authentication_method="m")), "f0 06 19 04 15 00 01 6d"),
]

# Each with its level in front, and the bytes behind.
PACKETS = [
    *((level, packet, bytes.fromhex(raw)) for packet, raw in BOTH for level in (4, 5)),
    *((4, packet, bytes.fromhex(raw)) for packet, raw in LEVEL_4),
    *((5, packet, bytes.fromhex(raw)) for packet, raw in LEVEL_5),
]

# Longer forms that the standard allows, and that we never send: (packet, bytes), level 5.
LONG_FORMS = [
    (p.Puback(1), bytes.fromhex("40 03 00 01 00")),
    (p.Puback(1), bytes.fromhex("40 04 00 01 00 00")),
    (p.Pubrel(1, 0x92), bytes.fromhex("62 04 00 01 92 00")),
    (p.Disconnect(), bytes.fromhex("e0 01 00")),
    (p.Disconnect(), bytes.fromhex("e0 02 00 00")),
    (p.Auth(), bytes.fromhex("f0 02 00 00")),
]
