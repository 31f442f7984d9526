"""What queries found, as text: one renderer a file."""
