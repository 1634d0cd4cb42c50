"""What `pabal mosquitto-config` writes."""
