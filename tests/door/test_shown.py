"""What `print` shows of the front door's values: a line, or a small table."""

import netc
from netc import layers as nn


def test_values_print_short(tmp_path):
    net = netc.NetSpec("tiny", (8, 8, 1), (nn.Flatten(), nn.Dense(10)))
    step = netc.compile(net, target="reference", batch=4)
    assert str(step).startswith("tiny for reference: batch 4, 650 parameters, text SHA-256 ")
    cost = step.cost()
    assert str(cost).startswith(f"{cost.useful_flops:,} useful FLOPs a step; as compiled {cost.flops:,} FLOPs, ")
    *parts, total = str(step.memory()).splitlines()
    assert [line.split()[0] for line in parts[:2]] == ["parameters", "moments"] and total.split()[0] == "sum"
    found = step.certificate()
    assert str(found).splitlines()[-1] == found.sentence and "derivative of the forward" in str(found)
    assert len(str(found).splitlines()) == len(found.statements) + 1
    run = netc.train(net, target="reference", epochs=1, out=tmp_path / "run")
    assert str(run).startswith("tiny on digits: ") and str(run).endswith(f"after {run.steps:,} steps; {run.folder}")
    assert f"{run.accuracy:.2%} test accuracy" in str(run)
