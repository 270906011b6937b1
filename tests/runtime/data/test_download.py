from __future__ import annotations

import dataclasses
import hashlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from netc.runtime.data import catalog
from netc.runtime.data.download import Progress, Remote, fetch_files
from netc.runtime.data.errors import DataError

CONTENT = bytes(range(256)) * 4000
ANSWERS = {
    "/good": CONTENT,
    "/other": CONTENT[::-1],
    "/short": CONTENT[:-1],
    "/long": CONTENT + b"!",
    "/broken": CONTENT,
}


@pytest.fixture
def server(monkeypatch) -> Iterator[tuple[str, list[str]]]:
    """Serve ANSWERS on the loopback address; return the base address and the list of requests."""
    monkeypatch.setenv("no_proxy", "*")
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            if self.path not in ANSWERS:
                self.send_error(404)
                return
            content = ANSWERS[self.path]
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.path == "/broken":
                content = content[:1000]
                self.close_connection = True
            try:
                self.wfile.write(content)
            except OSError:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}", asked
    http.shutdown()
    thread.join()
    http.server_close()


def remote(base: str, path: str) -> Remote:
    return Remote("file.gz", base + path, len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


def test_downloads_checks_and_keeps(server, tmp_path):
    base, asked = server
    seen: list[Progress] = []
    folder = tmp_path / "a" / "b"
    (path,) = fetch_files((remote(base, "/good"),), folder, progress=seen.append)
    assert path.read_bytes() == CONTENT
    assert [entry.name for entry in folder.iterdir()] == ["file.gz"]
    assert seen[-1] == Progress("file.gz", len(CONTENT), len(CONTENT))
    fetch_files((remote(base, "/good"),), folder)
    assert asked == ["/good"]
    path.write_bytes(b"damaged")
    fetch_files((remote(base, "/good"),), folder)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("path", "got"),
    [
        ("/other", f"got {len(CONTENT)} bytes with SHA-256"),
        ("/long", "got more bytes with SHA-256"),
        ("/short", f"got {len(CONTENT) - 1} bytes with SHA-256"),
        ("/broken", "got 1000 bytes|IncompleteRead"),
        ("/none", "got HTTP 404 Not Found; check the network"),
    ],
)
def test_leaves_nothing_behind_when_it_fails(server, tmp_path, path, got):
    with pytest.raises(DataError, match=f"{path}: wants .*{got}"):
        fetch_files((remote(server[0], path),), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_no_network(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(DataError, match=r"refused; check the network .* bring the file file.gz yourself"):
            fetch_files((remote(base, "/good"),), tmp_path)


def test_a_silent_server_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        base = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(DataError, match="timed out; check the network"):
            fetch_files((remote(base, "/good"),), tmp_path, timeout=0.05)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="choose another cache folder"):
        fetch_files((remote("http://127.0.0.1:9", "/good"),), tmp_path / "file" / "below")


def test_fetch_puts_files_where_load_looks(server, tmp_path, monkeypatch):
    entry = dataclasses.replace(catalog.DATASETS["cifar10"], remotes=(remote(server[0], "/good"),))
    monkeypatch.setitem(catalog.DATASETS._rows, "cifar10", entry)
    assert catalog.fetch("cifar10", tmp_path) == tmp_path / "cifar10"
    assert (tmp_path / "cifar10/file.gz").read_bytes() == CONTENT


def test_digits_want_no_download(tmp_path):
    with pytest.raises(DataError, match="digits: needs no download"):
        catalog.fetch("digits", tmp_path)
