"""Where the `netc` command begins: Ctrl-C ends it without a traceback even while it is imported."""

import sys

_usual = sys.excepthook


def _quiet(kind, error, trace):  # type: ignore[no-untyped-def]  # types would be one more import before the hook
    if not issubclass(kind, KeyboardInterrupt):
        _usual(kind, error, trace)


sys.excepthook = _quiet


def main() -> None:
    """Run the command line."""
    from netc.cli.main import main as run

    run()
