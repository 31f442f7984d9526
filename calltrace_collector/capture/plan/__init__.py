"""Capture plans: hooks, programs, and what is kept of them."""
