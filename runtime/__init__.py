"""WHERE it runs: targets, compilation, the cache, sessions, training, data."""

if __name__ != "netc.runtime":
    raise ImportError(f"this package is netc.runtime, not {__name__}; install netc and import netc.runtime")
