"""A run and its folder: what it is, its checkpoints, how it stops and goes on."""
