"""Our own amqtt plugins. They are loaded from the configuration, like anybody's."""
