"""The push services: one small class for each, behind `bridge.push.ports.PushService`."""
