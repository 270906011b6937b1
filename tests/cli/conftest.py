"""What the tests of the command line share."""

import pytest

from netc.cli.main import _run


@pytest.fixture
def netc(place, artefacts, monkeypatch, capsys):
    """`netc(arguments..)` -> exit code, standard output, standard error, in the folder of the module's `place`."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("NETC_CACHE_DIR", str(artefacts))

    def call(*arguments):
        capsys.readouterr()
        code = _run(list(arguments))
        said = capsys.readouterr()
        return code, said.out, said.err

    return call
