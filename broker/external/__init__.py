"""Any other MQTT broker in the place of ours, over paho-mqtt."""
