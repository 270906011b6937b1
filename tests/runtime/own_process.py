"""A test's program in a process of its own: jaxlib takes the number of the host's devices before its first use."""

import json
import os
import subprocess
import sys

from netc.runtime.backends.xla_replicas import FLAG


def said_by(code):
    """What a program prints, as JSON. XLA compiles as quickly as in the other tests."""
    flags = " ".join(flag for flag in os.environ.get("XLA_FLAGS", "").split() if not flag.startswith(FLAG))
    held = {**os.environ, "XLA_FLAGS": flags}
    done = subprocess.run([sys.executable, "-c", code], env=held, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
