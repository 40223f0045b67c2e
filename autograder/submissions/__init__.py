"""Reads what was handed in, and repairs it."""
