"""Specs as text: what is written comes back, and no text whatever gives another error than a sentence."""

import contextlib
import dataclasses
import math
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from netc.netspec.check import check
from netc.netspec.errors import SpecError, UserError
from netc.netspec.find import find
from netc.netspec.layers import KINDS, Activation, Chain, Conv2d, Dense, Flatten, MaxPool, Repeat
from netc.netspec.spec import NetSpec
from netc.netspec.toml import DEEPEST, LARGEST_FILE, from_toml, load, to_toml
from tests.netspec.strategies import nets

HEAD = 'name = "n"\ninput = [4, 4, 1]\n'


def layer(text):
    return f"{HEAD}[[layers]]\n{text}\n"


def problems(text):
    with pytest.raises(UserError) as caught:
        from_toml(text)
    return str(caught.value)


def judged(text):
    """Read and check: either a net or a UserError, in a second or so."""
    with contextlib.suppress(UserError):
        return check(from_toml(text))


@given(nets())
@example(NetSpec('"\\\U0001f600', (1,), (Dense(1),)))
@example(NetSpec("", (4, 4, 1), (MaxPool((2, 1), padding=((1, 0), (0, 0)), name="x"), Flatten(), Dense(1))))
@example(NetSpec("deep", (1,), (Repeat(Chain((Repeat(Chain((Activation("leaky-relu", slope=1e-7),))),)), 3), Dense(1))))
def test_what_is_written_comes_back(spec):
    text = to_toml(spec)
    assert from_toml(text) == spec
    assert to_toml(from_toml(text)) == text
    assert check(from_toml(text)).digest == check(spec).digest


def test_a_name_that_no_net_may_have_comes_back_too():
    spec = NetSpec('"\\\n\t\r\x00\x7f\u2028\U0001f600', (1,), (Dense(1),))
    assert from_toml(to_toml(spec)) == spec


def test_digests_tell_nets_apart():
    specs = [
        NetSpec("n", (4, 4, 1), (Conv2d(2, padding=p, name=name), Flatten(), Dense(3)))
        for p in ("same", "same-symmetric", ((1, 1), (1, 0)))
        for name in (None, "a")
    ]
    assert len({check(s).digest for s in specs}) == len(specs)


def test_defaults_are_left_out():
    assert to_toml(NetSpec("n", (4, 4, 1), (Conv2d(8, activation="relu"), Flatten()))) == (
        'name = "n"\ninput = [4, 4, 1]\n\n[[layers]]\nkind = "conv2d"\nfeatures = 8\nactivation = "relu"\n'
        '\n[[layers]]\nkind = "flatten"\n'
    )


def test_a_float_may_be_written_as_an_integer():
    spec = from_toml(layer('kind = "batchNorm"\nepsilon = 1\nmomentum = 0'))
    assert spec.layers[0].epsilon == 1.0
    assert isinstance(spec.layers[0].epsilon, float)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "spec: name wants a string, got nothing"),
        ("name = 3\n", "spec: name wants a string, got 3"),
        ('name = "n"\n', "spec: input wants a list, got nothing"),
        ('name = "n"\ninput = "4x4"\n', "spec: input wants a list, got '4x4'"),
        ('name = "n"\ninput = [4, "4", true, 1.5]\n', "spec: input[1] wants an integer, got '4'"),
        ('name = "n"\ninput = [4, "4", true, 1.5]\n', "spec: input[2] wants an integer, got True"),
        ('name = "n"\ninput = [4, "4", true, 1.5]\n', "spec: input[3] wants an integer, got 1.5"),
        (HEAD + "layers = 3\n", "spec: layers wants a list, got 3"),
        (HEAD + "layers = [3]\n", "spec: layers[0] wants a table with a kind, got 3"),
        (
            HEAD + "colour = 3\nlayers = []\n",
            "spec: unknown field 'colour'; a spec has name, input, dtype, layers and source",
        ),
        (layer("features = 3"), "layers[0]: kind wants the kind of a layer, got nothing"),
        (layer("kind = [1]"), "got [1]"),
        (layer('kind = "lstm"'), "got 'lstm'"),
        (layer('kind = "dense"'), "spec: layers[0] (dense): wants features, got nothing"),
        (layer('kind = "dense"\nfeatures = "3"'), "spec: layers[0] (dense): features wants an integer, got '3'"),
        (layer('kind = "dense"\nfeatures = 3\nunits = 2'), "unknown option 'units'; dense has name, features, inputs"),
        (layer('kind = "dense"\nfeatures = 3\nbias = 1'), "bias wants true or false, got 1"),
        (layer('kind = "dense"\nfeatures = 3\nname = 1979-05-27'), "name wants a string, got datetime.date(1979"),
        (layer('kind = "conv2d"\nfeatures = 3\nkernel = [3]'), "kernel wants an integer or a list, got [3]"),
        (layer('kind = "conv2d"\nfeatures = 3\nkernel = [3, 3.0]'), "kernel wants an integer or a list, got [3, 3.0]"),
        (layer('kind = "conv2d"\nfeatures = 3\npadding = [[1, 1], [1]]'), "padding wants"),
        (layer('kind = "batchNorm"\nepsilon = nan'), "epsilon wants a number, got nan"),
        (layer('kind = "batchNorm"\nepsilon = inf'), "epsilon wants a number, got inf"),
        (layer('kind = "chain"\nlayers = [{ kind = "dense", features = [] }]'), "(chain): layers[0] (dense): "),
        (layer('kind = "residual"\nbody = 3'), "body wants a table with a kind, got 3"),
        ("x = [", "spec: wants TOML, got"),
        ('name = "n"\nname = "m"\n', "spec: wants TOML, got"),
        ("\x00", "spec: wants TOML, got"),
    ],
)  # fmt: skip
def test_sentences(text, sentence):
    assert sentence in problems(text)


def test_every_wrong_field_is_found():
    with pytest.raises(SpecError) as caught:
        from_toml('name = 1\ninput = 2\nsource = 3\nlayers = [{ kind = "dense" }, 4]\n')
    assert len(caught.value.problems) == 5


def test_every_option_refuses_a_date():
    for kind, cls in KINDS.items():
        fields = [f.name for f in dataclasses.fields(cls)]
        text = "\n".join([f'kind = "{kind}"', *(f"{f} = 1979-05-27" for f in fields)])
        with pytest.raises(SpecError) as caught:
            from_toml(layer(text))
        assert len(caught.value.problems) == len(fields), kind


def test_nesting_has_a_limit():
    def nested(depth):
        text = '{ kind = "identity" }'
        for _ in range(depth):
            text = f'{{ kind = "residual", body = {text} }}'
        return HEAD + f"layers = [{text}]\n"

    assert check(from_toml(nested(DEEPEST // 2))).out.shape == (4, 4, 1)
    assert f"nested more than {DEEPEST} deep; flatten it" in problems(nested(DEEPEST + 1))
    for deep in (400, 5000):
        problems(nested(deep))
    for brackets in ("[" * 20_000, "[" * 20_000 + "]" * 20_000, "a = " + "{b=" * 20_000):
        problems(HEAD + f"layers = {brackets}\n")


HUGE = [str(2**31), str(2**63), "9" * 400, "9" * 5000, "0x" + "f" * 5000, "-" + "9" * 400]


@pytest.mark.parametrize("number", HUGE, ids=["2^31", "2^63", "10^400", "10^5000", "16^5000", "-10^400"])
@pytest.mark.parametrize(
    "text",
    [
        'name = "n"\ninput = [{}, 4, 1]\n[[layers]]\nkind = "conv2d"\nfeatures = 1\n[[layers]]\nkind="flatten"\n',
        'name = "n"\ninput = [4, 4, {}]\n[[layers]]\nkind = "conv2d"\nfeatures = 1\nactivation = "relu"\n',
        layer('kind = "flatten"\n[[layers]]\nkind = "dense"\nfeatures = {}\n[[layers]]\nkind = "dense"\nfeatures = 2'),
        layer('kind = "conv2d"\nfeatures = 2\nkernel = {}'),
        layer('kind = "conv2d"\nfeatures = 2\npadding = [[{0}, {0}], [0, 0]]'),
        layer('kind = "maxPool"\nstride = {}'),
        layer('kind = "batchNorm"\nepsilon = {}'),
        layer('kind = "activation"\nfunction = "leaky-relu"\nslope = {}'),
        "name = {}\n",
    ],
    ids=["input", "channels", "features", "kernel", "padding", "stride", "epsilon", "slope", "name"],
)
def test_huge_numbers_are_sizes_or_errors(text, number):
    net = judged(text.format(number))
    if net is not None:
        assert net.count >= 0
        assert all(math.isfinite(getattr(p.init, "std", 0)) for p in net.params)


@pytest.mark.parametrize("times", [10**6, 10**12])
@pytest.mark.parametrize(
    "text",
    [
        'kind = "repeat"\nbody = {{ kind = "identity" }}\ntimes = {}',
        'kind = "residualBlock"\nfeatures = 1\nblocks = {}',
    ],
    ids=["repeat", "residualBlock"],
)
def test_a_huge_number_of_parts_is_refused_at_once(text, times):
    """In a process of its own: what is not refused takes all the time and memory that there is."""
    code = (
        "import sys, resource; resource.setrlimit(resource.RLIMIT_AS, (2 << 30,) * 2)\n"
        "from netc.netspec.check import check; from netc.netspec.toml import from_toml\n"
        "from netc.netspec.errors import SpecError\n"
        "try: check(from_toml(sys.argv[1]))\n"
        "except SpecError as error: print(error)"
    )
    command = [sys.executable, "-c", code, layer(text.format(times))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert f"got {times}" in done.stdout, done.stderr[-300:]


SCALARS = st.one_of(
    st.integers(-(10**20), 10**20), st.floats().map(str), st.booleans().map(lambda b: str(b).lower()),
    st.sampled_from(['""', '"same"', '"relu"', "[]", "[[]]", "{}", "[1, 2]", "[[1, 1], [2, 2]]", "1979-05-27", "0xff"]),
)  # fmt: skip
TABLES = st.builds(
    lambda kind, fields: "{ " + ", ".join([f'kind = "{kind}"', *(f"{k} = {v}" for k, v in fields.items())]) + " }",
    st.sampled_from([*KINDS, "nothing"]),
    st.dictionaries(
        st.sampled_from(sorted({f for k in KINDS.values() for f in k.__dataclass_fields__} - {"times", "blocks"})),
        st.recursive(SCALARS, lambda s: st.lists(s, max_size=3).map(lambda v: "[" + ", ".join(map(str, v)) + "]")),
        max_size=4,
    ),
)


@settings(max_examples=300)
@given(st.lists(TABLES, max_size=3), st.lists(SCALARS, max_size=4))
def test_tables_of_nonsense(tables, shape):
    judged(f'name = "n"\ninput = [{", ".join(map(str, shape))}]\nlayers = [{", ".join(tables)}]\n')


@settings(max_examples=200)
@given(st.text())
def test_any_text(text):
    judged(text)


@settings(max_examples=150)
@given(nets(), st.data())
def test_damaged_specs(spec, data):
    text = to_toml(spec)
    at = data.draw(st.integers(0, len(text) - 1))
    cut = data.draw(st.integers(0, 4))
    judged(text[:at] + data.draw(st.text(max_size=3)) + text[at + cut :])


@settings(max_examples=50)
@given(st.binary(max_size=200))
def test_any_bytes_in_a_file(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("specs") / "x.toml"
    path.write_bytes(content)
    with contextlib.suppress(UserError):
        load(path)


def test_a_byte_order_mark_is_no_part_of_a_spec(tmp_path):
    spec = NetSpec("marked", (3,), (Dense(2),))
    path = tmp_path / "marked.toml"
    path.write_text("\ufeff" + to_toml(spec), encoding="utf-8")
    assert load(path) == spec


def test_files_that_are_none(tmp_path):
    with pytest.raises(UserError, match=r"gone.toml: cannot be read \(No such file or directory\); check the name"):
        load(tmp_path / "gone.toml")
    with pytest.raises(UserError, match="cannot be read"):
        load(tmp_path)
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b'name = "\xe9"')
    with pytest.raises(UserError, match="wants UTF-8 text, got byte 0xe9 at 8; save it as UTF-8"):
        load(latin)
    large = tmp_path / "large.toml"
    large.write_bytes(b"#" * (LARGEST_FILE + 1))
    with pytest.raises(UserError, match=f"wants a spec of at most {LARGEST_FILE} bytes, got {LARGEST_FILE + 1}"):
        load(large)
    with pytest.raises(UserError, match=r"/dev/zero: cannot be read .no regular file."):
        load(Path("/dev/zero"))


@pytest.mark.parametrize("name", ["tiny-gpt", "unet", "mnist-cnn"])
def test_a_readable_text_has_parts_on_lines_of_their_own(name):
    spec = find(name)
    text = to_toml(spec, readable=True)
    assert from_toml(text) == spec
    assert max(map(len, text.splitlines())) < 150
    assert to_toml(spec) == text or "layers = [\n" in text


def test_a_kind_may_have_another_name_and_a_near_one_is_named():
    assert from_toml(layer('kind = "Linear"\nfeatures = 3')).layers == (Dense(3),)
    assert "of a layer, got 'convbn2'; did you mean convBn" in problems(layer('kind = "convbn2"'))
