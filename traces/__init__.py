"""WHAT happened: the record of a run, written and read."""

if __name__ != "netc.traces":
    raise ImportError(f"this package is netc.traces, not {__name__}; install netc and import netc.traces")
