"""Weights written for other projects: what was read comes back to the bit, and their own models take it strictly."""

import json

import numpy as np
import pytest
import safetensors.numpy

from netc.codegen.evaluator import run
from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.errors import UserError
from netc.netspec.find import find
from netc.netspec.layers import (
    Chain,
    GatedMlp,
    LayerNorm,
    MultiHeadAttention,
    RMSNorm,
    TiedHead,
    TokenPositionEmbed,
    TransformerEncoder,
)
from netc.netspec.preprocess import PLAIN, Preprocess
from netc.netspec.recipe import SGD, Recipe
from netc.netspec.spec import NetSpec
from netc.netspec.zoo.llama import block
from netc.runtime.data.batches import Normalise
from netc.runtime.weights.layouts import SAME, layouts
from netc.runtime.weights.names import naming_for, namings_of
from netc.runtime.weights.names.table import pieces, shares
from netc.runtime.weights.read import WeightsError, read_weights
from netc.runtime.weights.said import metadata_of, read_said
from netc.runtime.weights.write import named_tensors, write_tensors
from tests.runtime.weights.drawn_weights import drawn
from tests.runtime.weights.other_models import NOT_THERE, model_of, torch_here

# one of each family
FAMILIES = (
    "resnet18", "resnet50", "squeezenet1_1", "densenet121", "googlenet", "inception_v3", "shufflenet_v2_x0_5",
    "convnext_tiny", "mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small", "mobilenetv4_conv_medium", "mnasnet1_0",
    "efficientnet_b0", "efficientnet_v2_s", "vit_tiny_patch16_224", "deit_tiny_patch16_224", "swin_t", "mobilevit_s",
    "alexnet", "vgg11_bn", "vit_base_patch16_224",
)  # fmt: skip
LARGE = ("alexnet", "vgg11_bn", "vit_base_patch16_224")  # whose tensors are not made


def original(net, naming, seed=1):
    """A file's tensors as such a project has them: made from its names and shapes alone."""
    rng, kernels = np.random.default_rng(seed), {} if naming.own else layouts(net)
    found = {}
    for path, name in naming.sources(net).items():
        shape = kernels.get(path, SAME).outer(net.shapes[path])
        among = shares(name)
        for part, share in zip(pieces(name), among, strict=True):
            theirs = naming.shaped(part, (shape[0] // sum(among) * share, *shape[1:]))
            found[part] = rng.uniform(0.1, 0.9, theirs).astype(np.float32)
    return found


def same(got, want):
    return got.dtype == want.dtype and got.shape == want.shape and got.tobytes() == want.tobytes()


@pytest.mark.parametrize("name", [*(n for n in FAMILIES if n not in LARGE), "unet", "tiny-gpt", "tiny-llama"])
def test_what_was_imported_is_exported_to_the_bit(name, tmp_path):
    net = check(find(name))
    for naming in namings_of(name):
        want = original(net, naming)
        path = tmp_path / "w.safetensors"
        path.write_bytes(safetensors.numpy.save(want))
        read = read_weights(net, path)
        assert read.project == naming.project
        got = named_tensors(net, read.tensors, naming, 7)
        assert [n for n, t in want.items() if not same(got[n], t)] == []
        extra = {n: got[n] for n in got.keys() - want.keys()}
        assert all(t.dtype == np.int64 and naming.ignores(n) for n, t in extra.items())
        assert {int(t) for n, t in extra.items() if n.endswith("num_batches_tracked")} <= {7}


NAMED = [
    (name, project)
    for name in FAMILIES
    for naming in namings_of(name)
    for project in naming.project.split(" and ")
    if project in NOT_THERE and name not in NOT_THERE[project]
]


@pytest.mark.parametrize("project", NOT_THERE)
def test_names_and_shapes_are_those_of_the_projects_models(project):
    torch = torch_here()
    offenders = []
    for name, _ in (pair for pair in NAMED if pair[1] == project):
        net = check(find(name))
        zeros = {path: np.broadcast_to(np.float32(0), shape) for path, shape in net.shapes.items()}
        got = {n: t.shape for n, t in named_tensors(net, zeros, naming_for(name, project)).items()}
        with torch.device("meta"):
            want = {n: tuple(t.shape) for n, t in model_of(name, project).state_dict().items()}
        offenders += [(name, n, got.get(n), want.get(n)) for n in got.keys() | want.keys() if got.get(n) != want.get(n)]
    assert offenders == []


def predicted(net, tensors, x):
    """netc's logits in float64."""
    program = build(net, Recipe(SGD(momentum=0.0), norms=False), len(x))
    (logits,) = run(program.module, "predict", [*(tensors[s.name] for s in program.kept), x])
    return logits


SIZES = {"vit_tiny_patch16_224": 224, "swin_t": 224, "inception_v3": 96, "mobilevit_s": 64}
# What tests/runtime/weights/torch_nets has no twin of, and some of what it has.
ONCE = (
    ("resnet18", "torchvision"), ("densenet121", "timm"), ("mobilenet_v1", "timm"), ("mobilenet_v3_small", "timm"),
    ("mobilenetv4_conv_small", "timm"), ("mobilenetv4_conv_medium", "timm"), ("mnasnet1_0", "timm"),
    ("mnasnet1_0", "torchvision"), ("efficientnet_b0", "timm"), ("convnext_tiny", "torchvision"),
    ("vit_tiny_patch16_224", "timm"), ("mobilevit_s", "timm"),
)  # fmt: skip


@pytest.mark.parametrize(("name", "project"), ONCE)
def test_their_model_takes_it_strictly_and_says_the_same(name, project):
    torch = torch_here()
    size = SIZES.get(name, 32)
    spec = find(name).with_input((size, size, 3))
    net = check(spec)
    tensors = drawn(net)
    model, naming = model_of(name, project).double().eval(), naming_for(name, project)
    state = model.state_dict()  # mnasnet asks for the version in its metadata, which no .safetensors file keeps
    state.clear()
    state.update({n: torch.from_numpy(t) for n, t in named_tensors(net, tensors, naming).items()})
    model.load_state_dict(state, strict=True)
    if "in its norms" in naming.remark:
        for norm in (m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)):
            assert norm.eps == 1e-5  # as the remark says; with netc's the rest must agree
            norm.eps = 1e-3
    x = np.random.default_rng(2).normal(size=(1, size, size, 3))
    with torch.no_grad():
        want = model(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).numpy()
    got = predicted(net, tensors, x)
    # float64 through at most 60 layers; their epsilon of 1e-6 or 1e-3 in a norm would be seen
    assert np.linalg.norm(got - want) < 1e-9 * np.linalg.norm(want)


def test_a_file_says_its_classes_and_its_normalisation(tmp_path):
    net = check(find("mnist-cnn"))
    levels = Normalise((0.25,), (0.5,))
    resized = Preprocess(crop_pct=0.875, interpolation="bicubic")
    said = metadata_of("mnist-cnn", net.digest, net.x.shape, tuple("abcdefghij"), levels, resized)
    path = tmp_path / "w.safetensors"
    write_tensors(path, named_tensors(net, drawn(net), naming_for("mnist-cnn", None)), said)
    read = read_weights(net, path)
    assert (read.classes, read.normalise, read.project) == (tuple("abcdefghij"), levels, "netc")
    assert read.preprocess == resized
    with safetensors.safe_open(path, "numpy") as file:
        assert json.loads(file.metadata()["netc.input"]) == [28, 28, 1]
        assert json.loads(file.metadata()["netc.preprocess"]) == {"crop_pct": 0.875, "interpolation": "bicubic"}


@pytest.mark.parametrize("bad", ["", "[", '{"mean": 3}', '{"mean": [1], "std": [0]}', '{"mean": ["x"], "std": [1]}'])
def test_what_a_stranger_wrote_there_is_passed_over(bad):
    assert read_said({"netc.normalise": bad, "netc.classes": bad}).normalise is None
    assert read_said({"netc.normalise": bad, "netc.classes": bad}).classes == ()
    strange = [bad, '{"crop_pct": 2, "interpolation": "box"}', '{"crop_pct": 0.5, "interpolation": []}']
    assert all(read_said({"netc.preprocess": text}).preprocess == PLAIN for text in strange)


def test_a_project_without_names_for_a_net_is_refused():
    with pytest.raises(UserError, match="`names` wants torchvision or netc for alexnet, got timm, whose names for it"):
        naming_for("alexnet", "timm")
    net = check(find("unet"))
    with pytest.raises(
        UserError, match=r"got unet with body\.conv1\S* and \d+ more, which it does not have; export with"
    ):
        named_tensors(net, drawn(net), naming_for("resnet18", None))


HUGGING_FACE = {
    "resnet18": ("ResNet", {"depths": [2, 2, 2, 2], "hidden_sizes": [64, 128, 256, 512], "layer_type": "basic"}),
    "vit_tiny_patch16_224": (
        "ViT",
        {"hidden_size": 192, "num_attention_heads": 3, "intermediate_size": 768, "layer_norm_eps": 1e-6},
    ),
    "convnext_tiny": ("ConvNext", {"layer_norm_eps": 1e-6}),  # of the last norm; published is 1e-12
    "swin_t": ("Swin", {}),
    "mobilenet_v2": ("MobileNetV2", {"tf_padding": False, "layer_norm_eps": 1e-5}),
}


@pytest.mark.parametrize("name", HUGGING_FACE)
def test_transformers_opens_what_is_exported_for_it(name, tmp_path):
    torch = torch_here()
    transformers = pytest.importorskip("transformers")
    net = check(find(name))
    tensors = drawn(net)
    word, config = HUGGING_FACE[name]
    getattr(transformers, f"{word}Config")(num_labels=1000, **config).save_pretrained(tmp_path)
    write_tensors(tmp_path / "model.safetensors", named_tensors(net, tensors, naming_for(name, "hf")), {"format": "pt"})
    model = getattr(transformers, f"{word}ForImageClassification")
    model, told = model.from_pretrained(tmp_path, output_loading_info=True, dtype=torch.float64)
    assert not any(told[word] for word in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    x = np.random.default_rng(2).normal(size=(1, 224, 224, 3))
    with torch.no_grad():
        want = model.eval()(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).logits.numpy()
    got = predicted(net, tensors, x)
    assert np.linalg.norm(got - want) < 1e-9 * np.linalg.norm(want)  # float64, as above


def test_transformers_opens_a_gpt2(tmp_path):
    """A small one, of gpt2's names; what the model itself writes is read back to the same numbers."""
    torch = torch_here()
    transformers = pytest.importorskip("transformers")
    blocks = TransformerEncoder(2, 64, 2, causal=True, activation="gelu-tanh", epsilon=1e-5, name="blocks")
    body = Chain((blocks, LayerNorm(1e-5, name="norm")))
    net = check(NetSpec("gpt2", (8,), (TiedHead(TokenPositionEmbed(50, 16), body, name="model"),), dtype="i32"))
    tensors = drawn(net)
    config = transformers.GPT2Config(n_layer=2, n_embd=16, n_head=2, n_positions=8, vocab_size=50)
    config.save_pretrained(tmp_path)
    write_tensors(
        tmp_path / "model.safetensors", named_tensors(net, tensors, naming_for("gpt2", "hf")), {"format": "pt"}
    )
    model, told = transformers.GPT2LMHeadModel.from_pretrained(
        tmp_path, output_loading_info=True, dtype=torch.float64, attn_implementation="eager"
    )
    assert not any(told[word] for word in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    x = np.random.default_rng(2).integers(0, 50, (1, 8))
    with torch.no_grad():
        want = model.eval()(torch.from_numpy(x)).logits.numpy()
    got = predicted(net, tensors, x.astype(np.int32))
    assert np.linalg.norm(got - want) < 1e-9 * np.linalg.norm(want)  # float64, as above
    model.float().save_pretrained(tmp_path / "saved")
    assert "transformer.wte.weight" in safetensors.numpy.load_file(tmp_path / "saved" / "model.safetensors")
    read = read_weights(net, tmp_path / "saved" / "model.safetensors")
    assert all((read.tensors[path] == tensor).all() for path, tensor in tensors.items())


@pytest.mark.parametrize("scaling", [None, "llama3", "linear"])
def test_transformers_opens_a_llama(tmp_path, scaling):
    """A small one, of tiny-llama's names, with shared keys, and a context beyond that of the scaling's training."""
    torch = torch_here()
    transformers = pytest.importorskip("transformers")
    numbers = {None: (), "llama3": (8.0, 1.0, 4.0, 8.0), "linear": (2.0,)}[scaling]
    attention = MultiHeadAttention(
        4, causal=True, rope=True, bias=False, kv_heads=2, rope_scaling=numbers, name="attention"
    )
    blocks = (*(block(index, attention, GatedMlp(24, name="mlp")) for index in range(2)), RMSNorm(1e-5, name="norm"))
    embed = TokenPositionEmbed(50, 32, positions=False)
    net = check(NetSpec("tiny-llama", (24,), (TiedHead(embed, Chain(blocks), name="model"),), dtype="i32"))
    tensors = drawn(net)
    llama3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8, "factor": 8.0}
    rope = {"llama3": llama3, "linear": {"factor": 2.0}}.get(scaling, {})
    config = transformers.LlamaConfig(
        vocab_size=50, hidden_size=32, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, rms_norm_eps=1e-5, tie_word_embeddings=True,
        rope_theta=10_000.0, rope_scaling={"rope_type": scaling, **rope} if scaling else None,
    )  # fmt: skip
    config.save_pretrained(tmp_path)
    naming = naming_for("tiny-llama", "hf")
    write_tensors(tmp_path / "model.safetensors", named_tensors(net, tensors, naming), {"format": "pt"})
    model, told = transformers.LlamaForCausalLM.from_pretrained(
        tmp_path, output_loading_info=True, dtype=torch.float64, attn_implementation="eager"
    )
    assert not any(told[word] for word in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    x = np.random.default_rng(2).integers(0, 50, (1, 24))
    with torch.no_grad():
        want = model.eval()(torch.from_numpy(x)).logits.numpy()
    got = predicted(net, tensors, x.astype(np.int32))
    assert np.linalg.norm(got - want) < 1e-4 * np.linalg.norm(want)  # transformers keeps its table of angles in float32
    model.float().save_pretrained(tmp_path / "saved")
    read = read_weights(net, tmp_path / "saved" / "model.safetensors")
    assert all((read.tensors[path] == tensor).all() for path, tensor in tensors.items())
    wrong = check(find("tiny-llama", {"layers": 2, "width": 64}))
    with pytest.raises(WeightsError, match=r"q_proj\.weight wants \[64, 64\], got \[32, 32\]"):
        read_weights(wrong, tmp_path / "saved" / "model.safetensors")
