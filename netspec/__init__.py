"""WHAT is trained: specs, layers, shapes, parameters, the zoo."""

if __name__ != "netc.netspec":
    raise ImportError(f"this package is netc.netspec, not {__name__}; install netc and import netc.netspec")
