"""What a file's code calls, and where: hooks, stubs, slots, addresses of functions."""
