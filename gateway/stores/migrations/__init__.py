"""Alembic's folder: one file a step in versions/, named r0001_… upwards."""
