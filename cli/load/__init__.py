"""A load generator: many devices over plain MQTT 3.1.1 in one event loop, and what they saw."""
