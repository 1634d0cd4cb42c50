"""Accounts, devices, sessions and tokens: used by the broker, webapi and the command line alike."""
