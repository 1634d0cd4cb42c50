"""Reading what a client gave as its subscription, field by field. Each raises BadRequest with the field's name."""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any, Final

from pabal.errors import BadRequest

_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]*={0,2}\Z")


def text(target: Mapping[str, Any], name: str, pattern: re.Pattern[str], expected: str) -> str:
    """Raises: BadRequest."""
    value = target.get(name)
    if value is None:
        raise BadRequest(f"is missing; expected {expected}", field=name)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise BadRequest(f"expected {expected}", field=name)
    return value


def base64url(value: object, name: str, size: int) -> str:
    """The text of so many bytes, without padding.

    Raises: BadRequest.
    """
    expected = f"expected {size} bytes as URL-safe base64"
    if value is None:
        raise BadRequest(f"is missing; {expected}", field=name)
    if not isinstance(value, str):
        raise BadRequest(expected, field=name)
    bare = value.rstrip("=")
    if not _BASE64URL.match(value) or len(bare) != -(-size * 8 // 6):
        raise BadRequest(expected, field=name)
    # The one way to write it, so that one subscription is not two.
    return encoded(decoded(bare))


def decoded(bare: str) -> bytes:
    """Raises: ValueError."""
    try:
        return base64.urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
    except binascii.Error as error:
        raise ValueError(str(error)) from None


def encoded(data: bytes) -> str:
    """URL-safe base64 without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
