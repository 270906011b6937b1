"""Passes that only XLA needs."""
