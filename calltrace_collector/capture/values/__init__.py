"""Captured bytes become values."""
