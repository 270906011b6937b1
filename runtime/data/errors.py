"""What can be wrong with data."""

from netc.netspec.errors import UserError


class DataError(UserError):
    """The data is missing, damaged, or not of the kind that was asked for."""
