"""The same nets in other frameworks, for benchmarks."""
