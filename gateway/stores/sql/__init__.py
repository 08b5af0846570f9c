"""The stores in SQL: SQLite and PostgreSQL through SQLAlchemy Core, one class for each Protocol."""
