"""A checkpoint is whole or not there, and no altered bit of it is loaded."""

import errno
import os
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from netc.netspec.errors import UserError
from netc.runtime.run import checkpoint as module
from netc.runtime.run.checkpoint import MANIFEST, STATE, CheckpointError, load, save

DTYPES = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64".split()  # noqa: SIM905
TENSORS = {
    "z/kernel": np.arange(12, dtype=np.float32).reshape(3, 4),
    "a/bias": np.array([np.nan, -0.0, np.inf, 1e-45], dtype=np.float32),
    "step": np.array(7, dtype=np.int32),
}
META = {"step": 7, "epoch": 1, "spec": "a" * 64, "recipe": {"betas": (0.9, 0.999)}, "best": None}


@pytest.fixture
def path(tmp_path):
    return save(tmp_path / "run", "last", TENSORS, META)


def marked(number):
    return {"x": np.full(1000, number, dtype=np.int64)}


def names(folder):
    return sorted(inner.name for inner in folder.iterdir())


def test_what_is_saved_is_loaded(path):
    loaded = load(path)
    assert list(loaded.tensors) == list(TENSORS)
    for name, tensor in TENSORS.items():
        assert loaded.tensors[name].dtype == tensor.dtype
        assert loaded.tensors[name].shape == tensor.shape
        assert loaded.tensors[name].tobytes() == tensor.tobytes()
    assert loaded.meta == {**META, "recipe": {"betas": [0.9, 0.999]}}
    assert path.name == "last" and names(path) == [MANIFEST, STATE]
    assert names(path.parent) == ["last"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (5,), (2, 3)])
def test_every_dtype_and_odd_shapes(tmp_path, dtype, shape):
    tensor = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    back = load(save(tmp_path, "x", {"t": tensor}, {})).tensors["t"]
    assert (back.dtype, back.shape, back.tobytes()) == (tensor.dtype, tensor.shape, tensor.tobytes())


@pytest.mark.parametrize(
    "view",
    [lambda x: x.T, lambda x: x[::2], lambda x: x[:, ::-1], lambda x: x.astype(">f4"), np.asfortranarray],
)
def test_strides_and_byte_order_do_not_matter(tmp_path, view):
    tensor = view(np.arange(12, dtype=np.float32).reshape(4, 3))
    back = load(save(tmp_path, "x", {"t": tensor}, {})).tensors["t"]
    assert np.array_equal(back, tensor)


def test_no_tensors_and_no_meta(tmp_path):
    loaded = load(save(tmp_path, "x", {}, {}))
    assert (loaded.tensors, loaded.meta) == ({}, {})


def test_a_later_save_replaces_the_earlier(tmp_path):
    for number in range(3):
        path = save(tmp_path, "x", marked(number), {"n": number})
        assert load(path).meta == {"n": number}
        assert names(tmp_path) == ["x"]


def test_two_saves_of_the_same_are_the_same_bytes(tmp_path):
    one, two = (save(tmp_path, name, TENSORS, META) for name in "ab")
    for file in (STATE, MANIFEST):
        assert (one / file).read_bytes() == (two / file).read_bytes()


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        ".hidden",
        "a/b",
        "/abs",
        "../up",
        "a\\b",
        "a\0b",
        "a\nb",
        "a\x7fb",
        " a",
        "a ",
        "\ud800",
        "\u202ea",
        "x" * 201,
        "é" * 101,
    ],
)
def test_names_that_are_no_plain_file_names_are_refused(tmp_path, name):
    with pytest.raises(CheckpointError, match="wants a plain file name of at most 200 bytes, got "):
        save(tmp_path / "run", name, TENSORS, META)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["x" * 200, "a b", "best-0.93", "épo*ue [1]?", "a..b", "-", "~", "CON", "$HOME"])
def test_other_names_are_names(tmp_path, name):
    for number in range(2):
        path = save(tmp_path, name, marked(number), {})
    assert path == tmp_path / name
    assert load(path).tensors["x"][0] == 1
    assert names(tmp_path) == [name]


@pytest.mark.parametrize(
    ("tensors", "meta", "message"),
    [
        ({"t": np.zeros(2, np.complex64)}, {}, "tensor 't' wants a NumPy array of .*, got complex64"),
        ({"t": np.zeros(2, ml_dtypes.bfloat16)}, {}, "tensor 't' wants .*, got bfloat16"),
        ({"t": np.array(["a"])}, {}, "tensor 't' wants"),
        ({"t": np.array([object()])}, {}, "tensor 't' wants .*, got object"),
        ({"t": [1.0]}, {}, "tensor 't' wants .*, got list"),
        ({"t": np.float32(1)}, {}, "tensor 't' wants .*, got float32"),
        ({"": np.zeros(1)}, {}, "wants a printable name"),
        ({"__metadata__": np.zeros(1)}, {}, "wants a printable name"),
        ({"\ud800": np.zeros(1)}, {}, "wants a printable name"),
        ({3: np.zeros(1)}, {}, "wants a printable name .* got 3"),
        ({}, {"best": float("nan")}, "meta.best wants a finite number, got nan"),
        ({}, {"a": [float("inf")]}, r"meta.a\[0\] wants a finite number, got inf"),
        ({}, {"a": {1: 2}}, "meta.a wants string keys, got 1"),
        ({}, {"a": np.float32(1)}, "meta.a wants plain JSON .*, got float32"),
        ({}, {"a": 10**5000}, "Exceeds the limit"),
    ],
)
def test_what_cannot_be_stored_is_refused_and_nothing_is_touched(path, tensors, meta, message):
    with pytest.raises(CheckpointError, match=message):
        save(path.parent, path.name, tensors, meta)
    assert load(path).meta["step"] == 7
    assert names(path.parent) == ["last"]


def test_errors_are_the_users(tmp_path):
    assert issubclass(CheckpointError, UserError)
    with pytest.raises(CheckpointError, match=r"x wants a checkpoint, got none; look for its name in"):
        load(tmp_path / "x")
    for odd in (Path("/"), Path(), Path("..")):
        with pytest.raises(CheckpointError):
            load(odd)


def test_a_file_in_its_place(tmp_path):
    (tmp_path / "x").write_text("")
    with pytest.raises(CheckpointError, match="wants a checkpoint, got none"):
        load(tmp_path / "x")
    with pytest.raises(CheckpointError, match="must be a checkpoint, got something else there"):
        save(tmp_path, "x", {}, {})
    assert names(tmp_path) == ["x"]


def test_a_folder_of_other_files_is_never_replaced(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.py").write_text("years of work")
    with pytest.raises(CheckpointError, match=r"got something else there \('main.py'\)"):
        save(tmp_path, "src", {}, {})
    (tmp_path / "link").symlink_to(tmp_path / "src")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for link in ("link", "dangling"):
        with pytest.raises(CheckpointError, match="got something else there"):
            save(tmp_path, link, {}, {})
    assert names(tmp_path) == ["dangling", "link", "src"]


@pytest.mark.parametrize("name", [STATE, MANIFEST])
def test_a_missing_file(path, name):
    (path / name).unlink()
    with pytest.raises(CheckpointError, match=rf"{name} wants a file that can be read, got No such file"):
        load(path)


@pytest.mark.parametrize("name", [STATE, MANIFEST])
def test_what_never_ends_is_not_read(path, name):
    (path / name).unlink()
    os.mkfifo(path / name)
    with pytest.raises(CheckpointError, match=rf"{name} wants a file that can be read, got no regular file"):
        load(path)


# -- tidying, keeping, and another meta ------------------------------------------------------------------------------


def test_one_that_is_replaced_can_be_kept_under_another_name(path):
    for number in range(3):
        save(path.parent, "last", marked(number), {"n": number}, older=f"step-{number}")
    assert names(path.parent) == ["last", "step-0", "step-1", "step-2"]
    assert [load(path.parent / n).meta.get("n") for n in names(path.parent)] == [2, None, 0, 1]
    save(path.parent, "last", marked(3), {"n": 3}, older="step-1")  # in the place of the one of that name
    assert load(path.parent / "step-1").meta == {"n": 2}
    module.remove(path.parent / "step-1")
    module.remove(path.parent / "step-1")
    assert names(path.parent) == ["last", "step-0", "step-2"]


def test_another_meta_leaves_the_state_as_it_is(path, monkeypatch):
    state = (path / STATE).read_bytes()
    module.restate(path.parent, "last", {"n": 5})
    assert load(path).meta == {"n": 5} and (path / STATE).read_bytes() == state

    def none(*arguments, **options):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", none)  # a file system without hard links
    module.restate(path.parent, "last", {"n": 6})
    assert load(path).meta == {"n": 6} and (path / STATE).read_bytes() == state
    assert names(path.parent) == ["last"]
    with pytest.raises(CheckpointError, match="wants a checkpoint, got none"):
        module.restate(path.parent, "other", {})
    (path / MANIFEST).write_bytes(b"{}")
    with pytest.raises(CheckpointError, match="wants a manifest, got other JSON"):
        module.restate(path.parent, "last", {})


def test_what_killed_saves_left_is_tidied_and_nothing_else(path):
    folder = path.parent
    for leftover in (".last.old", ".best.new-00ff", ".best.old"):
        save(folder, "x", marked(1), {"of": leftover}).rename(folder / leftover)
    (folder / ".mine.old").mkdir()
    (folder / ".mine.old" / "thesis.tex").write_text("years of work")
    (folder / ".planted.old").symlink_to(folder / ".mine.old")
    module.tidy(folder)
    assert names(folder) == [".mine.old", "best", "last"]
    assert load(folder / "best").meta == {"of": ".best.old"} and load(path).meta["step"] == 7
    assert (folder / ".mine.old" / "thesis.tex").exists()
