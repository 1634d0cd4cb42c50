"""How people name a conversation: `@bob` or `bob` for the one with a user, or its id."""

from pabal.errors import BadRequest
from pabal.ids import ConvId, UserId, direct, parse_conv, parse_user


def conversation_of(me: UserId, name: str) -> ConvId:
    """The conversation meant. A name that could be both is a group's id; `@` says that it is a user's.

    Raises: BadRequest if it is neither.
    """
    if name.startswith("@"):
        return direct(me, parse_user(name[1:]))
    try:
        return parse_conv(name)
    except BadRequest:
        return direct(me, parse_user(name))
