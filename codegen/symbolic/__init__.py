"""Modules whose batch is no number: how they are found, and how they become those of a batch again."""
