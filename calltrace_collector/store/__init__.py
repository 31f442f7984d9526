"""The database: one schema on SQLite and PostgreSQL, a writer for ingest and a reader for queries."""
