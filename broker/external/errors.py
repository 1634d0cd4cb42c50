"""What another broker may be to the bridge that it cannot work with."""


class LinkError(Exception):
    """There is no connection, or not the one that is needed. `str` is one line for people."""


class Unreachable(LinkError):  # noqa: N818 -- named like the refusals of pabal.errors
    """Nobody answers there, or not in MQTT. It may be better in a moment."""


class Refused(LinkError):  # noqa: N818 -- named like the refusals of pabal.errors
    """The broker does not let us in, or not to what we need: it has to be told otherwise first."""


class WrongVersion(LinkError):  # noqa: N818 -- named like the refusals of pabal.errors
    """The broker does not speak this version of MQTT."""
