"""A folder where a file is wanted, or the reverse: one sentence that names the option, before anything is computed."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("paths")
    (place / "folder").mkdir()
    (place / "file.txt").write_text("hello\n")
    return place


SENTENCES = (
    ("tune --from folder", "--from wants a table that `netc tune --to` wrote, got the folder folder; name the file in"),
    ("tune --from nowhere", "--from wants a table that `netc tune --to` wrote, got nowhere, nothing there"),
    ("tune mnist-cnn --to folder", "--to wants a file, got the folder folder; name a file in it"),
    ("certify mnist-mlp -o folder", "--out wants a file, got the folder folder"),
    ("prove mnist-mlp -o folder", "--out wants a file, got the folder folder"),
    ("oracle dense --html folder", "--html wants a file, got the folder folder"),
    ("blas emit axpy -n 4 -o folder", "--out wants a file, got the folder folder"),
    ("kernel emit k.lean -o folder", "--out wants a file, got the folder folder"),
    ("report file.txt -o folder", "--out wants a file, got the folder folder"),
    ("atlas mnist-mlp -o folder", "--out wants a file, got the folder folder"),
    ("sample file.txt --gif folder", "--gif wants a file, got the folder folder"),
    ("trace noise mnist-mlp -o folder", "--out wants a file, got the folder folder"),
    ("emit-mlir mnist-mlp -o file.txt", "--out wants a folder, got the file file.txt; give another name"),
    ("import mnist-mlp w.safetensors -o file.txt", "--out wants a folder, got the file file.txt"),
    ("sweep lr.toml --out file.txt", "--out wants a folder, got the file file.txt"),
    ("eval file.txt", "RUN wants a folder that `netc train` made, got the file file.txt; give its folder"),
    ("train --resume file.txt", "RUN wants a folder that `netc train` made, got the file file.txt"),
    ("atlas mnist-mlp --profile folder", "--profile wants a file of JSON that netc wrote, got the folder folder"),
    ("atlas mnist-mlp --profile nowhere", "--profile wants a file of JSON that netc wrote, got nowhere, nothing there"),
    (
        "trace diff folder folder",
        "folder/trace.jsonl: wants a file that can be read, got: No such file",
    ),
    ("--plugin folder ls", "--plugin wants a Python file, got folder; give a FILE.py or FILE.lean"),
    ("data get foo", "NAME wants a data set with a download, one of fashion-mnist, mnist, cifar10, shakespeare, got"),
    ("recipes show foo", "NAME wants one of a1"),
    ("kernel ls folder", "FILE wants FILE.lean or FILE.py, got folder"),
)


def test_each_is_one_sentence(netc):
    for words, sentence in SENTENCES:
        code, out, err = netc(*words.split())
        assert code == 2 and f"netc: {sentence}" in err and "Errno" not in err, (words, out, err)
