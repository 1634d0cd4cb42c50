"""The protocol as pure values and rules: no I/O, clock, randomness or logging."""
