"""A test's program in a process of its own: jaxlib takes the number of the host's devices before its first use."""

import json
import os
import subprocess
import sys


def said_by(code):
    """What a program prints, as JSON."""
    held = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    done = subprocess.run([sys.executable, "-c", code], env=held, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
