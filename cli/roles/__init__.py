"""What the roles of a deployment are put together from: one file a noun. Each `pabal ROLE` is a composition root."""
