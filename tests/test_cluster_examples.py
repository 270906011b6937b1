"""The jobs of examples/cluster: as far as a schema and a shell can say, they are what SLURM and Kubernetes take."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import click
import pytest

from netc.cli.train import train

CLUSTER = Path(__file__).parents[1] / "examples" / "cluster"
LONG = {flag for option in train.params if isinstance(option, click.Option) for flag in option.opts}

# of JobSet's and Kubernetes' schemas, what a job wants: nested fields and their types, a list's of each item
JOBSET = {
    "apiVersion": "jobset.x-k8s.io/v1alpha2", "kind": "JobSet", "metadata": {"name": str},
    "spec": {
        "failurePolicy": {"maxRestarts": int}, "network": {"enableDNSHostnames": bool},
        "replicatedJobs": [{
            "name": str, "replicas": int,
            "template": {"spec": {
                "parallelism": int, "completions": int, "completionMode": "Indexed", "backoffLimit": int,
                "template": {"spec": {
                    "restartPolicy": "Never", "terminationGracePeriodSeconds": int,
                    "containers": [{"name": str, "image": str, "command": [str], "args": [str]}],
                }},
            }},
        }],
    },
}  # fmt: skip


def misfits(held, wanted, where=""):
    """Where what is held is not what is wanted."""
    if isinstance(wanted, dict):
        for name, inner in wanted.items():
            found = held.get(name) if isinstance(held, dict) else None
            yield from [f"{where}.{name} is missing"] if found is None else misfits(found, inner, f"{where}.{name}")
    elif isinstance(wanted, list):
        if not (isinstance(held, list) and held):
            yield f"{where} is no list"
            return
        for inner in held:
            yield from misfits(inner, wanted[0], f"{where}[]")
    elif held != wanted and not (isinstance(wanted, type) and type(held) is wanted):
        yield f"{where} is {held!r}"


def test_the_jobset_has_the_fields_that_it_wants_and_its_processes_meet():
    yaml = pytest.importorskip("yaml")
    held = yaml.safe_load((CLUSTER / "jobset.yaml").read_text(encoding="utf-8"))
    assert not [*misfits(held, JOBSET)]
    (job,) = held["spec"]["replicatedJobs"]
    pods = job["template"]["spec"]
    (container,) = pods["template"]["spec"]["containers"]
    words = dict(word.removeprefix("--").partition("=")[::2] for word in container["args"])
    assert {f"--{name}" for name in words} <= LONG
    assert int(words["processes"]) == pods["parallelism"] == pods["completions"]
    host, _, port = words["coordinator"].partition(":")
    name = held["metadata"]["name"]
    assert host == f"{name}-{job['name']}-0-0.{name}"
    assert int(port) in [each["containerPort"] for each in container["ports"]]


def test_the_batch_job_is_a_shell_script_of_options_that_there_are():
    script = CLUSTER / "train.sbatch"
    subprocess.run(["bash", "-n", str(script)], check=True)
    text = script.read_text(encoding="utf-8")
    head = re.findall(r"^#SBATCH --([a-z-]+)", text, re.MULTILINE)
    assert {"nodes", "ntasks-per-node", "gpus-per-task", "signal", "requeue"} <= set(head)
    command = re.search(r"netc train (.*?)\ncode=", text, re.DOTALL)
    assert command and set(re.findall(r"(--[a-z-]+)", command[1])) <= LONG | {"--processes"}
