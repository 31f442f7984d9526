"""The two programs, `calltrace` and `calltrace-collector`: one command a file."""
