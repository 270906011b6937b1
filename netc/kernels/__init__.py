"""Kernels of one's own: read from Lean or Python, simulated with their faults named, and run as C, CUDA or OpenCL."""
