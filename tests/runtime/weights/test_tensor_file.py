"""A .safetensors file from a stranger: what is right is read exactly, what is wrong is a sentence."""

import json
import pickle
import shlex
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from netc.runtime.weights.tensor_file import LONGEST_HEADER, TensorFileError, open_tensors

TENSORS = {
    "a.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.array([1.5, -2.0], np.float16),
    "c": np.array(3.25, np.float64),
    "count": np.array(7, np.int64),
    "empty": np.zeros((0, 4), np.float32),
}
CONTENT = safetensors.numpy.save(TENSORS)


def file_of(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def entry(shape=(2,), span=(0, 8), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(span)}


def test_floats_become_float32(tmp_path):
    path = tmp_path / "f.safetensors"
    path.write_bytes(CONTENT)
    file = open_tensors(path)
    assert file.tensors.keys() == TENSORS.keys()
    for name in ("a.weight", "b", "c", "empty"):
        read = file.read(name)
        assert read.dtype == np.float32
        np.testing.assert_array_equal(read, TENSORS[name].astype(np.float32))
    with pytest.raises(TensorFileError, match="count wants one of F64, F32, F16, BF16, got I64; save it as float32"):
        file.read("count")


def test_bfloat16_is_the_upper_half_of_float32(tmp_path):
    values = np.array([1.0, -0.15625, 3.0e38, np.inf], np.float32)
    data = (values.view(np.uint32) >> 16).astype("<u2").tobytes()
    path = tmp_path / "f.safetensors"
    path.write_bytes(file_of({"x": entry((4,), (0, 8), "BF16")}, data))
    expected = (values.view(np.uint32) >> 16 << 16).view(np.float32)
    np.testing.assert_array_equal(open_tensors(path).read("x"), expected)


@pytest.mark.parametrize("size", [*range(0, len(CONTENT), 7), len(CONTENT) - 1])
def test_a_file_cut_short_is_refused(size, tmp_path):
    path = tmp_path / "f.safetensors"
    path.write_bytes(CONTENT[:size])
    with pytest.raises(TensorFileError, match=r"wants .*, got .*"):
        open_tensors(path)


DEEP = b'{"x": ' + b"[" * 200_000
BAD = {
    "longer": (CONTENT + b"\0", "wants .* bytes, got .*; it was cut short or altered"),
    "no-json": (file_of(b"hello world"), "wants a header of JSON"),
    "no-utf8": (file_of(b'{"\xff": 1}'), "wants a header of JSON"),
    "list": (file_of([]), "wants a JSON object, got list"),
    "deep": (file_of(DEEP), "wants a header of JSON"),
    "twice": (file_of(b'{"x": 1, "x": 2}'), "a name stands twice"),
    "huge-header": (file_of({}, length=LONGEST_HEADER + 1), "got a header of .* bytes, where 2 to"),
    "header-past-end": (file_of({}, length=1000), "wants a header of 1,000 bytes, got 2"),
    "no-offsets": (file_of({"x": {"dtype": "F32", "shape": [2]}}), "wants dtype, shape and data_offsets of x"),
    "other-dtype": (file_of({"x": entry(dtype="C64")}, bytes(8)), "wants a known dtype of x, got 'C64'"),
    "dtype-list": (file_of({"x": {**entry(), "dtype": ["F32"]}}, bytes(8)), "wants a known dtype of x"),
    "negative": (file_of({"x": entry((-2,))}, bytes(8)), "wants a shape of x"),
    "truth": (file_of({"x": {**entry(), "shape": [True]}}, bytes(8)), "wants a shape of x"),
    "huge": (file_of({"x": entry((2**40, 2**40))}, bytes(8)), "wants a shape of x"),
    "rank": (file_of({"x": entry((1,) * 9)}, bytes(8)), "wants a shape of x"),
    "span": (file_of({"x": entry((2,), (0, 4))}, bytes(4)), r"wants 8 bytes of x, got the span \[0, 4\]"),
    "backwards": (file_of({"x": entry((2,), (8, 0))}, bytes(8)), "wants 8 bytes of x"),
    "overlap": (file_of({"x": entry(), "y": entry()}, bytes(8)), "without holes or overlaps"),
    "hole": (file_of({"x": entry((2,), (4, 12))}, bytes(12)), "without holes or overlaps"),
    "past-end": (file_of({"x": entry((2,), (0, 8))}, bytes(4)), "wants .* bytes, got"),
    "name": (file_of({"a\nb\x1b[31m": entry((-1,))}, bytes(8)), r"wants a shape of a\?b\?\[31m"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_wrong_file_is_a_sentence(name, tmp_path):
    content, sentence = BAD[name]
    path = tmp_path / "f.safetensors"
    path.write_bytes(content)
    with pytest.raises(TensorFileError, match=sentence):
        open_tensors(path)


def test_a_pickle_is_named_and_never_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    path = tmp_path / "f.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.pkl", pickle.dumps(Bomb()))
    for content in (path.read_bytes(), pickle.dumps(Bomb())):
        path.write_bytes(content)
        with pytest.raises(TensorFileError, match=r"got a pickle .* never read; convert it with: python -c"):
            open_tensors(path)
    assert not (tmp_path / "ran").exists()


FOREIGN = {
    "npy": (b"\x93NUMPY\x01\0", r"one NumPy array \(\.npy\)"),
    "h5": (b"\x89HDF\r\n\x1a\n" + bytes(9), "an HDF5 file"),
    "gguf": (b"GGUF" + bytes(9), "a GGUF file"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\n", "the pointer that Git LFS leaves .*; get .* git lfs pull"),
    "html": (b"\n<!DOCTYPE html><html>", "a web page; get the file itself"),
    "zip": (b"PK\x03\x04" + bytes(40), "a pickle"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_other_formats_are_told_apart(kind, tmp_path):
    content, sentence = FOREIGN[kind]
    path = tmp_path / f"f.{kind}"
    path.write_bytes(content)
    with pytest.raises(TensorFileError, match=rf"wants a \.safetensors file, got {sentence}"):
        open_tensors(path)


def converted(path, cwd):
    """Run the line that the error gives, and read what it wrote."""
    with pytest.raises(TensorFileError) as caught:
        open_tensors(path)
    command = shlex.split(str(caught.value).partition("convert it with: ")[2])
    assert command.pop(0) == "python"
    subprocess.run([sys.executable, *command], check=True, cwd=cwd)
    return open_tensors(path.with_suffix(".safetensors"))


def test_an_npz_is_converted_by_the_line_that_is_given(tmp_path):
    path = tmp_path / "it's $(touch x) w.npz"
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.savez(path, **{"a.weight": values, "b": values.T})
    file = converted(path, tmp_path)
    np.testing.assert_array_equal(file.read("b"), values.T)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_pickle_is_converted_by_the_line_that_is_given(tmp_path, wrapped):
    torch = pytest.importorskip("torch")
    model = torch.nn.Linear(3, 2)
    state = model.state_dict() | {"tied": model.weight.T}
    torch.save({"state_dict": state, "epoch": 3} if wrapped else state, tmp_path / "w.pt")
    file = converted(tmp_path / "w.pt", tmp_path)
    np.testing.assert_array_equal(file.read("tied").T, model.weight.detach().numpy())


def test_no_file(tmp_path):
    for path, fault in ((tmp_path, "a folder; give a file in it"), (tmp_path / "none", "which does not exist")):
        with pytest.raises(TensorFileError, match=rf"FILE wants a \.safetensors file, got .*, {fault}"):
            open_tensors(path)


@given(place=st.integers(0, len(CONTENT) - 1), value=st.integers(0, 255))
def test_a_changed_byte_is_read_or_refused(tmp_path_factory, place, value):
    path = tmp_path_factory.getbasetemp() / "changed.safetensors"
    path.write_bytes(CONTENT[:place] + bytes([value]) + CONTENT[place + 1 :])
    try:
        file = open_tensors(path)
        for name in file.tensors:
            file.read(name)
    except TensorFileError as error:
        assert str(error)
