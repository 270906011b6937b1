"""Passes: each `Module -> Module`, pure, verified after."""
