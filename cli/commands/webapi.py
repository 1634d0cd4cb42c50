"""`pabal webapi`: the REST API alone."""

from cli import logs, output, webapi_role
from cli.flags import WEBAPI, Flags, with_settings


@with_settings(*WEBAPI)
def webapi(flags: Flags) -> None:
    """Run the REST API, beside a broker.

    Any number of them work on one database. --relay says where the broker is, which has the same service_secret; the keys that sign tokens are the broker's.
    """
    loaded = flags.load(("http",))
    for warning in loaded.warnings:
        output.warning(warning)
    logs.configure(loaded.settings.log_level, loaded.settings.log_format)
    webapi_role.run(loaded.settings)
