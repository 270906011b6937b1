"""Text in Parquet: rows are documents, files are parts; columns that are none are refused."""

import pytest

from netc.runtime.data.catalog import load
from netc.runtime.data.errors import DataError

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def write(path, rows):
    pq.write_table(pa.table({"story": rows, "n": list(range(len(rows)))}), path)


def test_a_column_is_a_text(tmp_path):
    write(tmp_path / "x.parquet", ["to be\r\n", None, "or not"] * 20)
    found = load(f"parquet:{tmp_path / 'x.parquet'},text=story", cache_dir=tmp_path)
    assert found.tokenizer.decode([*found.train.labels, *found.test.labels]) == "to be\nor not" * 20
    with pytest.raises(DataError, match=r"`text` wants one of its columns of text \(story\), got 'n'; name"):
        load(f"parquet:{tmp_path / 'x.parquet'},text=n", cache_dir=tmp_path)


def test_files_are_parts_and_rows_end(tmp_path):
    pytest.importorskip("tokenizers")
    write(tmp_path / "train-0.parquet", ["to be or not to be"] * 10)
    write(tmp_path / "test-0.parquet", ["that is the question"] * 3)
    found = load(f"parquet:{tmp_path},text=story", cache_dir=tmp_path / "cache", tokenizer="bpe:270")
    ends = [int((split.labels == found.tokenizer.end).sum()) for split in (found.train, found.test)]
    assert ends == [10, 3]
    assert found.tokenizer.decode(found.test.labels.tolist()) == "that is the question" * 3


def test_an_evaluation_takes_the_files_for_the_test(tmp_path):
    write(tmp_path / "books-train.parquet", ["abcd"] * 10)
    write(tmp_path / "books-validation.parquet", ["dcba"] * 10)
    for whole in (False, True):
        found = load(f"parquet:{tmp_path},text=story", cache_dir=tmp_path, whole=whole)
        assert found.tokenizer.decode(found.test.labels.tolist()) == "dcba" * 10
        assert found.notes == ("held out for the test by their names: books-validation.parquet",)
    (tmp_path / "books-train.parquet").unlink()
    found = load(f"parquet:{tmp_path},text=story", cache_dir=tmp_path, whole=True)
    assert found.tokenizer.decode(found.test.labels.tolist()) == "dcba" * 10
    with pytest.raises(DataError, match="wants training files in addition to those for the test"):
        load(f"parquet:{tmp_path},text=story", cache_dir=tmp_path)
