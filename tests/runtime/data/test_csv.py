"""Tables in text files: what their columns are, every wrong cell by its line, and what the net gets."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from netc.runtime.data import catalog
from netc.runtime.data.batches import eval_batches, statistics, train_batches
from netc.runtime.data.csv_file import read_inputs
from netc.runtime.data.dataset import Columns
from netc.runtime.data.errors import DataError

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def load(text, options="", **words):
    if text is not None:
        Path("t.csv").write_text(text, encoding="utf-8")
    return catalog.load(f"csv:t.csv{options}", cache_dir=Path(), **words)


def table(count=20, sep=","):
    x = RNG.standard_normal((count, 3)).astype(np.float32)
    lines = [sep.join((*(repr(float(v)) for v in row), "cat" if i % 3 else "dog")) for i, row in enumerate(x)]
    return x, lines


def test_numbers_are_those_that_numpy_reads():
    x, lines = table(50)
    data = load("\n".join(["a,b,c,animal", *lines]) + "\n")
    wanted = np.loadtxt("t.csv", dtype=np.float32, delimiter=",", skiprows=1, usecols=range(3))
    every = np.arange(50) % 5 == 4
    assert np.array_equal(data.train.x, wanted[~every]) and np.array_equal(data.test.x, wanted[every])
    assert np.array_equal(wanted, x)
    assert data.classes == ("cat", "dog") and data.columns == Columns(("a", "b", "c"), ("animal",))
    with Path("t.csv").open(newline="") as file:
        words = [row["animal"] for row in csv.DictReader(file)]
    assert [data.classes[i] for i in data.test.y] == [w for w, e in zip(words, every, strict=True) if e]
    assert data.notes == (
        "t.csv: inputs: a, b, c; target: animal (classes)",
        "every 5th row of t.csv is held out for the test",
    )


@pytest.mark.parametrize("form", [
    "a,b,c,animal\n{}\n", "{}\n", "\ufeffa,b,c,animal\n{}", "a,b,c,animal\r\n{}\r\n", '"a","b","c","animal"\n{}\n',
])  # fmt: skip
def test_one_table_in_several_spellings(form):
    _, lines = table()
    wanted = load("\n".join(["a,b,c,animal", *lines]))
    joined = "\r\n".join(lines) if "\r" in form else "\n\n".join(lines)
    found = load(form.format(joined))
    assert found.digest == wanted.digest and found.train_digest == wanted.train_digest
    for sep in ";\t|":
        assert load(form.format(joined).replace(",", sep)).digest == wanted.digest


@pytest.mark.parametrize(("options", "inputs", "targets"), [
    ("", ("x", "id", "y z"), ("Label",)),
    (",label=x", ("id", "y z", "Label"), ("x",)),
    (",label=0,drop=id", ("y z", "Label"), ("x",)),
    (",label=-1", ("x", "id", "y z"), ("Label",)),
    (",label=y z,drop=id+0", ("Label",), ("y z",)),
])  # fmt: skip
def test_roles_of_columns(options, inputs, targets):
    rows = "\n".join(f"{i % 2},{i},{i % 3},{i % 4}" for i in range(20))
    assert load(f"x,id,y z,Label\n{rows}", options).columns == Columns(inputs, targets)


def test_classes_that_are_numbers_are_in_their_order():
    rows = "\n".join(f"1.5,{n}" for n in (10, 9, 2.0, 2, 10) * 3)
    data = load(f"v,c\n{rows}")
    assert data.classes == ("2", "9", "10")
    assert data.train.y[:4].tolist() == [2, 1, 0, 0]


def test_numbers_to_learn():
    text = "a,b,c\n" + "\n".join(f"{i},{i / 2},{i / 4}" for i in range(10))
    data = load(text, floats=True)
    assert data.train.y.dtype == np.float32 and data.train.y[:, 0].tolist() == [i / 4 for i in range(10) if i % 5 != 4]
    both = load(text, ",label=c+b", floats=True)
    assert both.columns.targets == ("c", "b") and both.test.y.tolist() == [[1, 2], [2.25, 4.5]]
    with pytest.raises(DataError, match=r"wants classes in c, got the number 0.25; give `loss=mse` to predict numbers"):
        load(text)
    with pytest.raises(DataError, match=r"wants one column of classes, got 2; several are targets of a loss of floats"):
        load(text, ",label=c+b")


@pytest.mark.parametrize(("text", "sentence"), [
    ("", "wants a table, got no rows"),
    ("a,b\n", "wants rows below the names of the columns, got none"),
    ("a,b\n1,x\n1\n", r"t.csv, line 3: wants 2 cells, as the first line has, got 1; fix it"),
    ("a,b\n1,x\n,x\n", r"line 3, column a: wants a number, got a missing one; fill it in, or leave the column out by"),
    ("a,b\n1,x\nNaN,x\n", r"line 3, column a: wants a number, got a missing one"),
    ("a,b\n1,x\ninf,x\n", r"line 3, column a: wants a finite number, got 'inf'"),
    ("a,b\n1,x\n\n1e39,x\n", r"line 4, column a: wants numbers up to 3.4e38, got 1e39"),
    ("a,b\n1,x\n1,\n", r"line 3, column b: wants a class, got a missing one; fill it in"),
    ('a,b\n1,x\n"1\n2",y\n', r"line 4, column a: wants a number, got '1\\n2'"),
    ("b\nx\ny\n", "wants columns of numbers, or one of image files, beside b, got none"),
    ("a,split,b\n1,train,x\n1,tset,y\n", r"line 3, column split: wants train or test, got 'tset'"),
    ("a,split,b\n1,train,x\n1,train,y\n", "wants rows of the test part, got none; add some"),
    ("a,b\n1,x\n", r"wants rows of the test part, got none \(every 5th of 1\); add some"),
])  # fmt: skip
def test_wrong_tables(text, sentence):
    with pytest.raises(DataError, match=sentence):
        load(text)


def test_all_that_is_wrong_is_told_at_once_but_a_column_few_times():
    rows = "\n".join(f"{'bad' if i != 3 else ''},word,{i}" for i in range(9))
    with pytest.raises(DataError) as caught:
        load(f"a,b,c\n0,0,0\n{rows}\n1,2\n")
    said = str(caught.value).splitlines()
    assert said[0] == "t.csv has 9 problems:"
    assert [line for line in said if "column b" in line and "more" not in line][-1].startswith("t.csv, line 5")
    assert "t.csv, column b: 6 more like it" in said and "t.csv, line 12: wants 3 cells" in str(caught.value)


def test_files_that_are_no_tables():
    for content, sentence in (
        (b"\xff\xfea\0", "wants a table in UTF-8, got byte 0xff; save it as UTF-8"),
        (b"a,b\n1," + b"x" * 200_000 + b"\n", "wants a table of comma-separated values, got one that is not"),
    ):
        Path("t.csv").write_bytes(content)
        with pytest.raises(DataError, match=sentence):
            load(None)
    Path("t.csv").unlink()
    with pytest.raises(DataError, match=r"t.csv: wants a table, got no such file; check the path"):
        load(None)
    for options, sentence in (
        (",label=d", r"wants one of its columns, a, b, or a number up to 1, got 'd'"),
        (",label=2", r"got '2'"),
        (",label=a,drop=a", "`label` and `drop` want different columns, got a in both"),
        (",header=maybe", "`header` wants yes or no, got 'maybe'"),
    ):
        with pytest.raises(DataError, match=sentence):
            load("a,b\n1,x\n", options)


def test_parts_that_are_given():
    x, lines = table(12)
    Path("held.csv").write_text("\n".join(["a,b,c,animal", *lines[8:]]))
    two = load("\n".join(["a,b,c,animal", *lines[:8]]), ",test=held.csv")
    assert np.array_equal(two.train.x, x[:8]) and np.array_equal(two.test.x, x[8:])
    words = ["train"] * 6 + ["test"] * 2 + ["val"] * 4
    column = load("\n".join(["a,b,c,animal,Split", *(f"{a},{b}" for a, b in zip(lines, words, strict=True))]))
    assert np.array_equal(column.train.x, x[:6]) and np.array_equal(column.test.x, x[8:])
    assert column.columns.inputs == ("a", "b", "c")
    Path("held.csv").write_text("a,b,d,animal\n1,2,3,cat\n")
    with pytest.raises(DataError, match=r"held.csv: wants the columns of the other file, a, b, c, animal, got a, b, d"):
        load("\n".join(["a,b,c,animal", *lines]), ",test=held.csv")


def test_undivided_for_evaluation():
    x, lines = table(11)
    text = "\n".join(["a,b,c,animal", *lines])
    whole, data = load(text, whole=True), load(text)
    assert np.array_equal(whole.test.x, x) and whole.digest == data.digest


def test_columns_are_standardised():
    _, lines = table(40)
    data = load("\n".join(["a,b,c,animal", *(f"7{line[line.index(',') :]}" for line in lines)]))
    found = statistics(data.train, 3)
    assert np.allclose(found.mean, data.train.x.mean(0, dtype=np.float64), rtol=1e-12)
    assert np.allclose(found.std[1:], data.train.x.std(0, dtype=np.float64)[1:], rtol=1e-12) and found.std[0] == 1
    from netc.netspec.augment import Augment

    batch = next(train_batches(data.train, batch=32, seed=0, epoch=0, normalise=found, augment=Augment()))
    from sklearn.preprocessing import StandardScaler

    scaled = StandardScaler().fit(data.train.x.astype(np.float64)).transform(data.test.x.astype(np.float64))
    test = next(eval_batches(data.test, batch=8, normalise=found))
    assert batch.x.dtype == test.x.dtype == np.float32 and np.allclose(test.x, scaled, atol=1e-6)


def images(*paths):
    for path in paths:
        Path(path).parent.mkdir(exist_ok=True)
        Image.fromarray(RNG.integers(0, 255, (6, 5, 3), np.uint8)).save(path)


@pytest.mark.parametrize("head", ["", "file,kind\n", "kind,file\n"])
def test_images_that_a_table_names(head):
    paths = [f"pictures/{i}.PNG" for i in range(10)]
    images(*paths)
    rows = [(p, "ab"[i % 2]) for i, p in enumerate(paths)]
    text = head + "\n".join(",".join(row if not head.startswith("kind") else row[::-1]) for row in rows)
    options = ",label=kind" if head.startswith("kind") else ""
    data = load(text, options)
    assert (len(data.train), len(data.test), data.native, data.classes) == (8, 2, (6, 5, 3), ("a", "b"))
    wanted = np.asarray(Image.open(paths[4]))
    assert np.array_equal(data.test.images(np.array([0]))[0], wanted)
    digest = data.digest
    images(paths[0])
    assert load(text, options).digest != digest and load(text, options).train_digest != data.train_digest
    measured = load(
        text.replace(",a", ",1.5").replace(",b", ",2").replace("a,", "1.5,").replace("b,", "2,"), options, floats=True
    )
    assert measured.train.labels.dtype == np.float32 and measured.train.labels[:2].tolist() == [[1.5], [2]]


def test_every_image_that_is_wrong_is_named():
    images("a.png")
    Path("b.png").write_bytes(b"no")
    with pytest.raises(DataError) as caught:
        load("a.png,x\nb.png,y\nc.png,x\n" + "a.png,x\n" * 9)
    assert len(caught.value.problems) == 2 and "b.png: wants a whole image" in str(caught.value)
    assert "c.png: cannot be read (No such file" in str(caught.value)


def test_damaged_images_are_left_out_on_request():
    images(*(f"{i}.png" for i in range(12)))
    for i in (3, 4):
        Path(f"{i}.png").write_bytes(b"no")
    data = load("\n".join(f"{i}.png,{'xy'[i % 2]}" for i in range(12)), skip_damaged=True)
    assert (len(data.train), len(data.test)) == (9, 1) and "skipped 2 damaged images: " in data.notes[-1]
    assert data.train.labels.tolist() == [i % 2 for i in range(12) if i % 5 != 4 and i != 3]
    whole = load(None, skip_damaged=True, whole=True)
    assert len(whole.test) == 10 and whole.digest == data.digest


def test_inputs_to_predict_are_found_by_name():
    Path("new.csv").write_text("c,x,a\n3,w,1\n\n4,w,2\n")
    found, lines = read_inputs(Path("new.csv"), Columns(("a", "c"), ("z",)))
    assert found.tolist() == [[1, 3], [2, 4]] and list(lines) == [2, 4]
    Path("new.csv").write_text("3,1\n4,2\n")
    assert read_inputs(Path("new.csv"), Columns(("a", "c"), ("z",)))[0].tolist() == [[3, 1], [4, 2]]
    Path("new.csv").write_text("q,r\n1,2\n")
    with pytest.raises(
        DataError, match=r"wants the columns that the net was trained on, got none of the name b; it has"
    ):
        read_inputs(Path("new.csv"), Columns(("q", "b"), ("z",)))
    Path("new.csv").write_text("a,c\n1,no\n")
    with pytest.raises(DataError, match=r"new.csv, line 2, column c: wants a number, got 'no'"):
        read_inputs(Path("new.csv"), Columns(("a", "c"), ("z",)))


def test_the_digest_is_that_of_the_arrays():
    data = load("a,b\n" + "1,x\n2,y\n" * 5)
    assert len(data.digest) == 64 and data.digest != hashlib.sha256(Path("t.csv").read_bytes()).hexdigest()
    assert load("a,b\n" + "1.0,x\n2.0,y\n" * 5).digest == data.digest


def test_two_columns_of_one_name_are_refused():
    with pytest.raises(DataError, match=r"t\.csv: wants a different name for each column, got more than one a"):
        load("a,a,kind\n1,2,x\n" + "1,2,y\n" * 9)
    with pytest.raises(DataError, match="got more than one a"):
        read_inputs(Path("t.csv"), Columns(("a",)))


def test_a_row_whose_sum_is_not_finite_is_kept_or_named():
    rows = "1,2,3\n" * 9
    found = load("a,b,y\n" + "3e38,3e38,3\n" + rows, ",label=y", floats=True)
    assert len(found.train) + len(found.test) == 10
    with pytest.raises(DataError, match=r"line 2, column y: wants numbers up to 3\.4e38, got 1e308"):
        load("a,b,y\n" + "1,2,1e308\n" + rows, ",label=y", floats=True)
    with pytest.raises(DataError, match=r"line 2, column a: wants numbers up to 3\.4e38, got 1e308"):
        load("a,b,y\n" + "1e308,1e308,1\n" + rows, ",label=y", floats=True)


def test_an_underscore_is_no_part_of_a_number():
    with pytest.raises(DataError, match="line 11, column a: wants a number, got '1_000'"):
        load("a,y\n" + "1,x\n" * 9 + "1_000,z\n")
