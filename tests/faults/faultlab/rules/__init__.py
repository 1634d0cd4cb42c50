"""What must be true, by what it is true of. Each rule takes the case and yields what breaks it, in words."""
