"""Passes that only IREE needs."""
