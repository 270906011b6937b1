"""A folder where a file is wanted, or the reverse: one sentence that names the option, before anything is computed."""

from __future__ import annotations

import os
from pathlib import Path

import click
import pytest

from netc.cli.main import COMMANDS, cli
from netc.cli.out_path import OutPath
from netc.netspec.errors import UserError

READ = frozenset((
    "a", "b", "certificates", "class_names", "data_dir", "file", "images", "init", "kernel_", "manifest", "noise",
    "profile", "resume", "run", "runs", "table_in",
))  # fmt: skip
"""The parameters that name what a command reads."""
WRITES = ("Write", "Also write", "Output", "Folder for", "Folder of", "File to", "Image file to", "The page to", "Draw")
"""How the help of an option that names what a command writes begins."""


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
    ("emit-mlir mnist-mlp -o -", "--out wants a folder, got -; name a folder, or leave it out"),
    ("blas emit axpy -n 4 -o -", "--out wants a file, got -; name a file, or leave it out"),
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


def test_a_device_is_not_replaced(netc):
    code, _, err = netc("blas", "emit", "axpy", "-n", "4", "-o", "/dev/null")
    assert code == 2 and "--out wants a file, got /dev/null, which is no regular file; name one" in err
    assert Path("/dev/null").is_char_device()


def test_a_page_is_a_file_and_c_a_folder(netc):
    for words, sentence in (
        ("emit-c mnist-mlp -o page.html/ --web", "--out wants a file, got the folder page.html/"),
        ("emit-c mnist-mlp -o file.txt", "--out wants a folder, got the file file.txt; give another name"),
    ):
        code, _, err = netc(*words.split())
        assert code == 2 and sentence in err, err


def test_folders_on_the_way_are_made(netc, place):
    assert netc("blas", "emit", "axpy", "-n", "4", "-o", "one/two/axpy.mlir")[0] == 0
    assert (place / "one/two/axpy.mlir").is_file()


def parameters():
    """Every parameter of every command, and the words of the command."""
    waiting = [((name,), cli.get_command(click.Context(cli), name)) for name in COMMANDS]
    for words, command in waiting:
        if isinstance(command, click.Group):
            waiting += [((*words, name), each) for name, each in command.commands.items()]
        yield from ((words, parameter) for parameter in command.params)


def test_every_path_is_read_or_of_a_type_that_refuses():
    for words, parameter in parameters():
        if isinstance(parameter.type, click.Path):
            assert isinstance(parameter.type, OutPath) or parameter.name in READ, (words, parameter.name)
        elif isinstance(parameter, click.Option) and parameter.type is click.STRING and parameter.name != "target":
            is_written = {"-o", "--out"} & {*parameter.opts} or (parameter.help or "").startswith(WRITES)
            assert not is_written, (words, parameter.name, "wants OUT_FILE or OUT_FOLDER of netc/cli/out_path.py")


def test_every_command_refuses_a_path_of_the_wrong_kind_at_once(netc):
    written = [(words, p) for words, p in parameters() if isinstance(p.type, OutPath)]
    assert len(written) > 30
    for words, parameter in written:
        flag = max(parameter.opts, key=len)
        sentences = {"file.txt/a": "where {place}/file.txt is no folder; give another name"}
        if parameter.type.folder is False:
            sentences |= {"folder": "got the folder folder; name", "new/": "got the folder new/; name a file in it"}
        else:
            sentences |= {"file.txt": "wants a folder, got the file file.txt; give another name"}
        for path, sentence in sentences.items():
            code, out, err = netc(*words, flag, path)
            assert code == 2 and not out, (words, flag, out, err)
            assert err.startswith(f"netc: {flag} wants a ") and sentence.format(place=Path.cwd()) in err, (words, err)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_what_may_not_be_written_is_refused(netc, place):
    (place / "shut").mkdir(mode=0o500)
    code, _, err = netc("blas", "emit", "axpy", "-n", "4", "-o", "shut/axpy.mlir")
    assert code == 2 and "shut may not be written; name another" in err


def test_a_path_that_may_not_be_written_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(UserError, match=rf"^--out wants a file, got {tmp_path}/a, where {tmp_path} may not be written"):
        OutPath(folder=False).convert(f"{tmp_path}/a", click.Option(["--out"]), None)
