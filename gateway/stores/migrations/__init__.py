"""Alembic's folder: one file for each migration in versions/, named r0001_… upwards."""
