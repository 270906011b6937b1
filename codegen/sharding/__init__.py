"""Sharding: a mesh of devices, which axes of which tensors it splits, and the pass that notes it on a module."""
