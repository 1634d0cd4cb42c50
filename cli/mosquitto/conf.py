"""The mosquitto.conf beside the file of its dynamic security."""

from pathlib import Path
from typing import Final

from cli.address import Address

# Where Debian, Fedora, Alpine and builds of one's own have the plugin.
PLUGINS: Final = (
    "/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so",
    "/usr/lib/aarch64-linux-gnu/mosquitto_dynamic_security.so",
    "/usr/lib/arm-linux-gnueabihf/mosquitto_dynamic_security.so",
    "/usr/lib64/mosquitto_dynamic_security.so",
    "/usr/lib/mosquitto_dynamic_security.so",
    "/usr/local/lib/mosquitto_dynamic_security.so",
)


def plugin() -> str:
    """Where it is on this machine; Debian's place on the most usual one if it is on none of them."""
    return next((name for name in PLUGINS if Path(name).exists()), PLUGINS[0])


def text(folder: Path, listen: Address, plugin_file: str) -> str:
    """`folder` is where mosquitto finds what belongs to it."""
    return f"""\
# Made by `pabal mosquitto-config`, and made anew by it.
listener {listen.port} {listen.host}
allow_anonymous false
plugin {plugin_file}
plugin_opt_config_file {folder}/dynamic-security.json

# What waits for the bridge and for devices outlives a restart; of the last seconds before a kill, requests that had
# an id are sent again by their devices.
persistence true
persistence_location {folder}/state/
autosave_interval 5

# mosquitto's own bounds are made for a few messages: 20 under way, and 1,000 that wait, of which the rest is dropped.
max_inflight_messages 1000
max_queued_messages 100000
max_packet_size 262144
# Without it a reply waits up to 40 ms for what comes next.
set_tcp_nodelay true
"""
