"""HPACK for pushes: what is the same in many of them goes out once in a connection, and the rest as it is."""

from collections.abc import Iterable
from typing import Any, Final

import hpack

# What differs from push to push would take the place of what does not; tokens are kept out of the table as everywhere
# (RFC 7541, section 7.1.3), and paths, which nobody but the device should know.
_NOT_KEPT: Final = frozenset(
    {
        b":path",
        b"authorization",
        b"content-length",
        b"topic",
        b"apns-id",
        b"apns-expiration",
        b"apns-collapse-id",
        b"webhook-id",
        b"webhook-timestamp",
        b"webhook-signature",
    }
)


class HeaderEncoder(hpack.Encoder):
    """Codes nothing by Huffman's method: that saves a quarter of a token and of a path, and takes Python longer than all
    else that HTTP/2 needs for a push.
    """

    def encode(self, headers: Iterable[Any], huffman: bool = False) -> bytes:
        """Of pairs of bytes."""
        return super().encode([(name, value, name in _NOT_KEPT) for name, value in headers], huffman)
