"""What an engine says in a hook: the same fields, as JSON, as a form or in the query, under the names that it uses."""

from collections.abc import Mapping
from typing import Final

from pabal.errors import BadRequest

MOST_BYTES: Final = 64 * 1024

CLIENT_ID: Final = ("clientid", "client_id", "variable_map.client_id")
USERNAME: Final = ("username",)
PASSWORD: Final = ("password",)
ADDRESS: Final = ("peerhost", "peer_addr", "ipaddr", "ipaddress", "ip")


class Fields:
    """Read by any of their names. What is missing is an empty text, which nobody is called."""

    def __init__(self, said: Mapping[str, object], caller: str) -> None:
        """`caller` is the address of the engine, for where it does not say the client's."""
        self._said = said
        self._caller = caller

    def text(self, *names: str) -> str:
        """Raises: BadRequest if it is there and no text or number."""
        for name in names:
            value = self._said.get(name)
            if value is None or value == "":
                continue
            if isinstance(value, bool) or not isinstance(value, (str, int)):
                raise BadRequest(f"{name} is no text", field=name)
            return str(value)
        return ""

    def get(self, name: str) -> object:
        return self._said.get(name)

    @property
    def client_id(self) -> str:
        return self.text(*CLIENT_ID)

    @property
    def username(self) -> str:
        return self.text(*USERNAME)

    @property
    def password(self) -> str:
        return self.text(*PASSWORD)

    @property
    def address(self) -> str:
        """Of the client, as far as the engine says it."""
        return self.text(*ADDRESS) or self._caller
