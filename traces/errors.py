"""The one error of the traces room."""


class TraceError(ValueError):
    """A trace that cannot be written, read or resumed: what was wanted, what came, what to do.

    The traces room imports nothing of netc, so this is a `ValueError` and no `NetcError`; the command
    line treats it as wrong input.
    """
