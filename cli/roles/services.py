"""How the server's own parts log in at the broker."""

import secrets
from typing import Final

from cli.errors import SettingsError
from cli.setting_types import MIN_SECRET
from cli.settings import Settings

# The web API's; an instance of it has a name of its own behind that.
SERVICE: Final = "web"


def new_instance() -> str:
    """Of one process: two of the same name would end each other's connection."""
    return f"{SERVICE}-{secrets.token_hex(6)}"


def secret_of(settings: Settings) -> str:
    """What all of them show. Raises: SettingsError if there is none."""
    if settings.service_secret is None:
        raise SettingsError(
            "service_secret is not given; expected the same secret for the broker and all webapi processes "
            f"({MIN_SECRET} characters or more), or a file of it as service_secret_file"
        )
    return settings.service_secret.get_secret_value()
