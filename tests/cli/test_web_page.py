"""`netc emit-c --web`: a page trains in a browser as the evaluator does, and says what is drawn."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from netc.netspec.errors import UserError
from netc.programs import request_program
from netc.reports.web import weights
from netc.runtime.cache.store import Cache
from netc.runtime.data.batches import statistics
from netc.runtime.data.digits import read_digits
from netc.runtime.data.resize import ResizedSplit
from netc.runtime.prepare import prepare
from netc.runtime.session import Session
from netc.runtime.target import parse_target
from netc.runtime.wasm_compiler import compile_wasm

MISSING = [tool for tool in ("clang", "wasm-ld", "chromium") if shutil.which(tool) is None]
# a visitor draws a vertical line when the page has learnt
VISITOR = """<script>
const box = pad.getBoundingClientRect();
function point(kind, x, y) {
  pad.dispatchEvent(new PointerEvent(kind, { clientX: box.left + x, clientY: box.top + y, bubbles: true }));
}
function draw() {
  if (Number(document.body.dataset.step) < 132) { setTimeout(draw, 50); return; }
  point("pointerdown", 112, 30);
  for (let y = 40; y < 200; y += 10) point("pointermove", 112, y);
  point("pointerup", 112, 200);
}
draw();
</script></body>"""


@pytest.fixture
def place(tmp_path):
    return tmp_path


@pytest.mark.skipif(bool(MISSING), reason=f"wants {', '.join(MISSING)}, not on the PATH")
def test_a_page_learns_digits_and_knows_what_is_drawn(netc, tmp_path):
    code, out, err = netc("emit-c", "mnist-mlp", "--web", "-o", "page.html")
    assert code == 0, err
    assert re.search(r"wrote page.html \(1\d\d kB\); it loads nothing", out)
    page = tmp_path / "page.html"
    text = page.read_text(encoding="utf-8")
    assert not re.findall(r"""(?:src|href)=|fetch\(|https?://""", text)
    page.write_text(text.replace("</body>", VISITOR), encoding="utf-8")
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000", "--dump-dom",
               f"--user-data-dir={tmp_path / 'profile'}", f"file://{page}#steps=132"]  # fmt: skip
    shown = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True).stdout
    body = re.search(r"<body ([^>]*)>", shown)
    assert body, shown[-500:]
    said = dict(re.findall(r'data-(\w+)="(.*?)"', body[1]))
    assert said["step"] == "132" and float(said["test"]) > 0.9 and said["answer"] == "1"
    program = request_program("mnist-mlp").build()
    session = Session(prepare(program, parse_target("reference"), Cache(tmp_path / "cache")))
    train = ResizedSplit(read_digits()[0], (28, 28, 1))
    state, normalise, wanted = session.init(7), statistics(train, 1, 1), []
    for n in range(3):
        chosen = np.arange(32 * n, 32 * n + 32)
        state, metrics = session.train(state, normalise(train.images(chosen)), train.labels[chosen], 0.001)
        wanted.append(metrics["loss"])
    assert [float(v) for v in said["losses"].split()[:3]] == pytest.approx(wanted, rel=2e-5)


def test_what_no_page_can_be_is_a_sentence_before_anything_is_written(netc, tmp_path, monkeypatch):
    for words, wanted in (
        (["mnist-mlp", "-o", "page"], "--out wants a file FILE.html, got page; let its name end in .html"),
        (["mnist-mlp", "--static", "-o", "p.html"], "--web writes a page, got a device option; leave out --static"),
        (["resnet18", "-o", "p.html"], "a page wants a classifier of images with ten classes"),
    ):
        code, _, err = netc("emit-c", *words, "--web")
        assert code == 2 and wanted in err, err
    monkeypatch.setenv("PATH", str(tmp_path))
    code, _, err = netc("emit-c", "mnist-mlp", "--web", "-o", "p.html")
    assert code == 2 and "WebAssembly wants clang and wasm-ld, got no clang on the PATH; install it (Debian: " in err
    assert not (tmp_path / "p.html").exists()


def test_images_are_resized_as_netc_resizes_them():
    train = read_digits()[0]
    for size in (28, 5):
        wanted, by = ResizedSplit(train, (size, size, 1)).images(np.arange(40))[..., 0], np.array(weights(size))

        def byte(sums):
            return np.clip((sums + 2**21) >> 22, 0, 255)

        wide = byte(np.einsum("nrk,ck->nrc", train.pixels[:40, ..., 0].astype(np.int64), by))
        np.testing.assert_array_equal(byte(np.einsum("rk,nkc->nrc", by, wide)), wanted)


@pytest.mark.skipif("clang" in MISSING or "wasm-ld" in MISSING, reason="wants clang and wasm-ld")
def test_a_function_that_javascript_has_not_is_named():
    with pytest.raises(UserError, match="functions that JavaScript's Math has, got erff; choose a net without"):
        compile_wasm(
            {"a.c": 'float erff(float);\n__attribute__((export_name("f"))) float f(float x) { return erff(x); }\n'}
        )


def test_the_page_in_the_docs_is_that_of_today():
    """But for its WebAssembly, which depends on clang's version: `netc emit-c mnist-mlp --web` writes it."""
    root = Path(__file__).parents[2]
    page = (root / "docs" / "mnist-mlp-digits.html").read_text(encoding="utf-8")
    for name in ("web.css", "web.js"):
        assert (root / "netc" / "reports" / name).read_text(encoding="utf-8").strip() in page, name
