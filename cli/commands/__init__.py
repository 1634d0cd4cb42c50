"""The commands, one module each: what they take, and whom they ask."""
