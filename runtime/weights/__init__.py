"""Weights that were made elsewhere: their files, their names, their layouts."""
