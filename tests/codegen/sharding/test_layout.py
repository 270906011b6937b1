"""The layout of a training on a mesh: its table, what it notes in the text, and what it refuses."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from netc.codegen.program import Program
from netc.codegen.sharding.layout import splits_of
from netc.codegen.sharding.mesh import Mesh, parse_sharding
from netc.codegen.sharding.table import SPLIT, owners, row_of
from netc.netspec.check import check
from netc.netspec.errors import NetcError, UserError
from netc.netspec.spec import NetSpec
from netc.programs import request_program
from netc.proofs_oracle.certificate.certify import certify_program
from netc.proofs_oracle.certificate.statement import Settings
from netc.proofs_oracle.references import REFERENCES
from netc.runtime.cache.store import Cache
from netc.runtime.prepare import emit_text, prepare, program_sha256
from netc.runtime.target import PLAIN, parse_target

NOTE = re.compile(r"(, )?sdy\.sharding = #sdy\.sharding<@mesh, \[[^>]*\]>")


SIZES = {"layers": 1, "heads": 2, "width": 8, "context": 4}


def program(mesh: str | None, shard: str | None = None, net: str = "tiny-gpt", **words: object) -> Program:
    sizes = SIZES if net == "tiny-gpt" else {}
    return request_program(net, mesh=mesh, shard=shard, **{"batch": 4, "optimizer": "adamw", **sizes, **words}).build()


def test_every_layers_parameters_are_in_the_table() -> None:
    """And nothing else is, and its axes are there."""
    found: dict[str, set[str]] = {}
    for reference in REFERENCES.values():
        for case in reference.cases:
            net = check(NetSpec("case", case.shape, (case.layer,), dtype=case.x.dtype))  # type: ignore[arg-type]
            shapes = {p.name: p.shape for p in net.params}
            for name, owned in owners(net).items():
                found.setdefault(owned.layer.layer.kind, set()).add(owned.name)
                _, axis = row_of(owned)
                assert axis is None or axis < len(shapes[name]), name
    assert {kind: set(rows) for kind, rows in SPLIT.items()} == found


def test_the_text_is_the_plain_one_with_notes() -> None:
    where = parse_target("xla")
    noted = emit_text(program("data=2,model=2", "fsdp"), where).text
    assert '{jax.buffer_donor = true, sdy.sharding = #sdy.sharding<@mesh, [{"data"}p1, {"model"}p1]>}' in noted
    bare = NOTE.sub("", noted.replace(" attributes {mhlo.num_partitions = 4 : i32, mhlo.num_replicas = 1 : i32}", ""))
    bare = bare.replace('  sdy.mesh @mesh = <["data"=2, "model"=2]>\n', "").replace(" {}", "")
    assert bare == emit_text(program(None), where).text


def test_the_certificate_reads_the_split_step() -> None:
    net = request_program("mnist-mlp", batch=2, mesh="data=2", shard="fsdp").build()
    assert certify_program(net, parse_target("xla"), Settings(4)).holds


def test_what_each_word_splits() -> None:
    kernel, moment = "model.body.block0.mlp.body.hidden.kernel", "m/model.body.block0.mlp.body.hidden.kernel"
    out, norm = "model.body.block0.mlp.body.out.kernel", "model.body.block0.mlp.body.norm.scale"

    def found(mesh: str, shard: str | None) -> dict[str, tuple[str | None, ...]]:
        made = program(mesh, shard)
        assert made.sharding
        return splits_of(made, made.sharding)

    whole = (None, None)
    fsdp, zero1, both = found("data=2", "fsdp"), found("data=2", "zero1"), found("data=2,model=2", "fsdp")
    tensor = found("data=2,model=2", "tensor")
    assert fsdp[kernel] == fsdp[moment] == (None, "data")
    assert fsdp[norm] == ("data",)
    assert (zero1[kernel], zero1[moment]) == (whole, (None, "data"))
    assert tensor[kernel] == tensor[moment] == (None, "model")
    assert (tensor[out], tensor[norm]) == (("model", None), (None,))
    assert both[kernel] == ("data", "model")
    assert set(found("data=2", None).values()) <= {(), (None,), whole}


WRONG = [
    ({"mesh": "data=3"}, "`mesh` data=3 wants a `batch` that data=3 divides, got 4"),
    ({"mesh": "data=4", "accumulate": 2}, "got 4 in 2 parts of `accumulate`"),
    ({"mesh": "model=4"}, "wants heads that model=4 divides, got 2 of model.body.block0"),
    ({"mesh": "model=3", "net": "mnist-mlp"}, "wants widths that model=3 divides, got 512 in hidden1.kernel"),
    ({"mesh": "sequence=3"}, "wants a sequence that sequence=3 divides, got an `input` of 4"),
    ({"mesh": "data=2;model=2"}, "`mesh` wants sizes of data, model, sequence"),
    ({"mesh": "data=2,data=2"}, "each once"),
    ({"shard": "fsdp"}, "`shard` wants a `mesh` to split over"),
    ({"mesh": "data=2", "shard": "zero3"}, "`shard` wants one of fsdp, zero1, tensor, got 'zero3'"),
    ({"mesh": "model=2", "shard": "fsdp"}, "`shard=fsdp` wants an axis `data` of the `mesh`"),
    ({"mesh": "data=2", "shard": "zero1", "optimizer": "sgd", "momentum": 0.0}, "`shard=zero1` wants moments to split"),
    ({"mesh": "data=3", "shard": "fsdp", "batch": 3}, "`shard=fsdp` wants widths that data=3 divides"),
]


@pytest.mark.parametrize(("words", "sentence"), WRONG, ids=[w[1][:40] for w in WRONG])
def test_what_does_not_fit_is_refused(words: dict[str, object], sentence: str) -> None:
    with pytest.raises(NetcError) as refused:
        emit_text(program(**{"mesh": None, **words}), PLAIN)  # type: ignore[arg-type]
    assert sentence in str(refused.value)


def test_targets_that_do_not_partition_are_refused() -> None:
    for word in ("cpu", "reference"):
        with pytest.raises(UserError, match="`mesh` wants the target xla"):
            emit_text(program("data=2"), parse_target(word))


def test_the_last_axis_counts_fastest() -> None:
    assert Mesh((("data", 2), ("model", 4))).size == 8
    assert str(replace(parse_sharding("data=2,model=4", None), shard="fsdp")) == "mesh data=2,model=4, shard fsdp"  # type: ignore[type-var]


@pytest.mark.parametrize(
    ("mesh", "processes", "parts"),
    [
        ("data=4", 2, [(0, 2), (1, 2)]),
        ("data=2,model=2", 2, [(0, 2), (1, 2)]),
        ("data=2,model=2", 4, [(0, 2), (0, 2), (1, 2), (1, 2)]),
        ("model=2,data=2", 2, [(0, 1), (0, 1)]),  # each process has one half of the kernels, for all examples
        ("model=2", 2, [(0, 1), (0, 1)]),
        ("sequence=3,data=4", 4, [(0, 1)] * 4),  # places 3, 0, 1 are no equal part
    ],
)
def test_what_of_a_batch_the_devices_of_a_process_need(mesh, processes, parts):
    found = parse_sharding(mesh, None)
    assert found is not None
    assert [found.mesh.part_of(process, processes) for process in range(processes)] == parts


def test_a_trace_names_the_text_with_its_notes_and_the_program_without(tmp_path):
    """So `netc trace diff` takes a mesh and one device for two compilations, and no bits for the same."""
    whole, split = program(None), program("data=2", "fsdp")
    assert program_sha256(whole) == program_sha256(split)
    texts = {prepare(each, parse_target("xla"), Cache(tmp_path)).step_sha256 for each in (whole, split)}
    assert len(texts) == 2
