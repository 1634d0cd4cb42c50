"""HPACK for pushes: what is the same in many of them goes out once in a connection, and the rest as it is."""

from collections.abc import Iterable
from typing import Any, Final

import hpack
from hpack.table import HeaderTable

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

    @property
    def header_table_size(self) -> int:
        return self.header_table.maxsize

    @header_table_size.setter
    def header_table_size(self, most: int) -> None:
        """Never more than the usual. hpack forgets a change where the same is said again, and tells those in between, which may
        be more than is allowed now: the least and the last are to be told (RFC 7541, section 4.2).
        """
        size = min(most, HeaderTable.DEFAULT_SIZE)
        if size != self.header_table.maxsize:
            self.header_table.maxsize = size
            least = min([*self.table_size_changes, size])
            self.table_size_changes = [least, size] if least < size else [size]

    def encode(self, headers: Iterable[Any], huffman: bool = False) -> bytes:
        """Of pairs of bytes."""
        return super().encode([(name, value, name in _NOT_KEPT) for name, value in headers], huffman)
