"""How the writer stores each part of a commit; every function runs within the caller's transaction."""
