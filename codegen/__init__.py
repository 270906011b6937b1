"""HOW it is computed: the IR, the rules and their pullbacks, the rewrites, the StableHLO text."""

if __name__ != "netc.codegen":
    raise ImportError(f"this package is netc.codegen, not {__name__}; install netc and import netc.codegen")
