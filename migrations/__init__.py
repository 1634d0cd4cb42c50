"""Alembic's migrations; run through `pabal db upgrade`, and by `pabal serve` on its embedded database."""
