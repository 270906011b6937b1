"""The errors of netc. Each message is one sentence or more: what was wanted, what came, what to do."""


class NetcError(Exception):
    """Something failed; the command line prints the message and ends with exit code 1."""

    exit_code = 1


class UserError(NetcError):
    """The input was wrong; the command line prints the message and ends with exit code 2."""

    exit_code = 2


def reason(error: Exception) -> str:
    """What an error says, of one of the system's the words alone: `Permission denied`, without number and path."""
    return (isinstance(error, OSError) and error.strerror) or str(error)


class SpecError(UserError):
    """A network specification that cannot be trained, with every reason found.

    `problems` holds one sentence for each fault.
    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))
