"""MQTT without sockets: packets as values, bytes to packets and back, and an incremental parser."""
