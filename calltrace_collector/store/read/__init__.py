"""How the reader finds each kind of record; every function runs on the caller's connection."""
