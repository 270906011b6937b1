"""The cache of compiled artefacts."""
