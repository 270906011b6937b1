"""Specs written in Lean 4: reading the part of the language that they are written in, and writing them."""
