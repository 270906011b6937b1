"""What importing the oracle does and does not do."""

import subprocess
import sys

from netc.netspec.install import install_extra


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_missing_jax_says_how_to_get_it():
    done = python("import sys; sys.modules['jax'] = None; import netc.proofs_oracle.oracle")
    wanted = "UserError: `proofs_oracle` wants JAX, got no module named jax"
    assert f"{wanted}; {install_extra('oracle')}" in done.stderr


def test_importing_leaves_jax_as_it_was():
    done = python("import netc.proofs_oracle.oracle, jax; print(jax.config.jax_enable_x64)")
    assert done.stdout.strip() == "False"


def test_the_command_line_imports_no_jax():
    done = python("import sys, netc.cli.oracle; print('jax' in sys.modules, 'rich' in sys.modules)")
    assert done.stdout.strip() == "False False"
