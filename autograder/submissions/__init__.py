"""Reads submissions and repairs their notebooks."""
