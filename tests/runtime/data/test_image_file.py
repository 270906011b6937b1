"""Pixels as people see them: upright, on white, from palettes, 16-bit greys and CMYK. The witness is NumPy."""

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from netc.runtime.data.errors import DataError
from netc.runtime.data.image_file import decode, survey

RNG = np.random.default_rng(4)
SCENE = np.repeat(np.repeat(RNG.integers(0, 256, (2, 3, 3), np.uint8), 8, axis=0), 8, axis=1)  # [16, 24, 3], in squares
STORED = {
    1: SCENE,
    2: SCENE[:, ::-1],
    3: SCENE[::-1, ::-1],
    4: SCENE[::-1],
    5: SCENE.transpose(1, 0, 2),
    6: SCENE.transpose(1, 0, 2)[::-1],
    7: SCENE.transpose(1, 0, 2)[::-1, ::-1],
    8: SCENE.transpose(1, 0, 2)[:, ::-1],
}
"""EXIF 2.32, table 6: where row 0 and column 0 of what is stored are to be seen, undone on the scene."""


def test_the_table_is_exifs():
    """Orientation 6: the stored row 0 is the right side of what is seen, the stored column 0 its top."""
    np.testing.assert_array_equal(STORED[6][:, 0], SCENE[0][::-1])
    np.testing.assert_array_equal(STORED[6][0], SCENE[:, -1])
    np.testing.assert_array_equal(STORED[8][0], SCENE[::-1, 0])


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("ending", ["png", "webp", "tiff", "jpg"])
def test_an_image_is_turned_upright(tmp_path, ending, orientation):
    path = tmp_path / f"image.{ending}"
    exif = Image.Exif()
    exif[274] = orientation
    options = {"webp": {"lossless": True}, "jpg": {"quality": 100, "subsampling": 0}}.get(ending, {})
    Image.fromarray(np.ascontiguousarray(STORED[orientation])).save(path, exif=exif, **options)
    found = decode(path, SCENE.shape)
    np.testing.assert_allclose(found.astype(int), SCENE, atol=4 if ending == "jpg" else 0)
    assert survey(path)[1] == SCENE.shape


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_an_orientation_that_cannot_be_read_turns_nothing(tmp_path):
    for number, exif in enumerate((b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0nonsense")):
        path = tmp_path / f"{number}.jpg"
        Image.fromarray(SCENE).save(path, exif=exif)
        assert decode(path, SCENE.shape).shape == survey(path)[1]


def on_white(rgb, alpha):
    part = alpha[..., None] / 255
    return rgb * part + 255 * (1 - part)


@pytest.fixture
def alpha():
    return np.repeat(np.arange(24, dtype=np.uint8)[None] * 11, 16, axis=0)


@pytest.mark.parametrize("ending", ["png", "webp", "tiff"])
def test_transparency_shows_white(tmp_path, ending, alpha):
    path = tmp_path / f"image.{ending}"
    pixels = np.dstack((SCENE, alpha))
    Image.fromarray(pixels).save(path, **({"lossless": True, "exact": True} if ending == "webp" else {}))
    np.testing.assert_allclose(decode(path, SCENE.shape), on_white(SCENE, alpha), atol=1)


def test_transparency_of_greys(tmp_path, alpha):
    Image.fromarray(np.dstack((SCENE[..., 0], alpha))).save(tmp_path / "la.png")
    expected = on_white(SCENE[..., :1], alpha)
    np.testing.assert_allclose(decode(tmp_path / "la.png", (16, 24, 1)), expected, atol=1)
    np.testing.assert_allclose(decode(tmp_path / "la.png", SCENE.shape), np.repeat(expected, 3, axis=2), atol=1)
    assert survey(tmp_path / "la.png")[1] == (16, 24, 1)


@pytest.mark.parametrize("ending", ["png", "gif"])
def test_a_palette_has_its_colours_and_its_transparent_one_is_white(tmp_path, ending):
    image = Image.fromarray(SCENE).quantize(6)
    hidden = int(np.asarray(image)[0, 0])
    image.save(tmp_path / f"whole.{ending}")
    np.testing.assert_array_equal(decode(tmp_path / f"whole.{ending}", SCENE.shape), SCENE)
    image.save(tmp_path / f"holes.{ending}", transparency=hidden)
    expected = np.where((np.asarray(image) == hidden)[..., None], 255, SCENE)
    np.testing.assert_array_equal(decode(tmp_path / f"holes.{ending}", SCENE.shape), expected)


def test_one_transparent_colour_without_an_alpha_channel(tmp_path):
    Image.fromarray(SCENE).save(tmp_path / "key.png", transparency=tuple(map(int, SCENE[0, 0])))
    expected = np.where((SCENE[0, 0] == SCENE).all(-1, keepdims=True), 255, SCENE)
    np.testing.assert_array_equal(decode(tmp_path / "key.png", SCENE.shape), expected)


@pytest.mark.parametrize("ending", ["png", "tiff", "pgm"])
def test_sixteen_bit_greys_keep_their_upper_eight(tmp_path, ending):
    levels = np.linspace(0, 65535, 24 * 16).round().astype(np.uint16).reshape(16, 24)
    path = tmp_path / f"grey.{ending}"
    if ending == "pgm":
        path.write_bytes(b"P5 24 16 65535\n" + levels.astype(">u2").tobytes())
    else:
        Image.fromarray(levels).save(path)
    np.testing.assert_array_equal(decode(path, (16, 24, 1))[..., 0], levels >> 8)
    np.testing.assert_array_equal(decode(path, (16, 24, 3))[..., 2], levels >> 8)
    assert survey(path)[1] == (16, 24, 1)


def test_sixteen_bit_colours_keep_their_upper_eight(tmp_path):
    levels = RNG.integers(0, 65536, (16, 24, 3)).astype(">u2")

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = b"".join(b"\0" + row.tobytes() for row in levels)
    head = struct.pack(">IIBBBBB", 24, 16, 16, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "wide.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    np.testing.assert_array_equal(decode(tmp_path / "wide.png", SCENE.shape), levels >> 8)


def test_floats_are_refused(tmp_path):
    for number, pixels in enumerate((np.ones((4, 4), np.float32), np.ones((4, 4), np.int32))):
        path = tmp_path / f"{number}.tiff"
        Image.fromarray(pixels).save(path)
        with pytest.raises(DataError, match=r"wants 8 or 16 bits a channel.*mode [FI]; convert it"):
            decode(path, (4, 4, 1))


@pytest.mark.parametrize("ending", ["jpg", "tiff"])
def test_inks_are_colours(tmp_path, ending):
    """R = 255 (1 - C) (1 - K), and so on; a JPEG of Adobe's holds the inks inverted, which must not show."""
    inks = np.zeros((16, 24, 4), np.uint8)
    inks[:, :8, 0], inks[:, 8:16, 2], inks[:, 16:, 3] = 255, 128, 64
    path = tmp_path / f"inks.{ending}"
    Image.fromarray(inks, "CMYK").save(path, **({"quality": 100} if ending == "jpg" else {}))
    if ending == "jpg":
        assert b"Adobe" in path.read_bytes()
    part = inks.astype(float) / 255
    expected = 255 * (1 - part[..., :3]) * (1 - part[..., 3:])
    np.testing.assert_allclose(decode(path, SCENE.shape), expected, atol=4)


def test_of_several_frames_the_first_is_seen(tmp_path):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    for ending in ("gif", "tiff", "webp", "png"):
        path = tmp_path / f"frames.{ending}"
        frames[0].save(
            path, save_all=True, append_images=frames[1:], **({"lossless": True} if ending == "webp" else {})
        )
        np.testing.assert_array_equal(decode(path, (4, 4, 3))[0, 0], (255, 0, 0))


def test_an_orientation_behind_the_pixels_of_a_png(tmp_path):
    content = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(STORED[6])).save(content, "png")
    exif = Image.Exif()
    exif[274] = 6
    late = io.BytesIO()
    PngImagePlugin.putchunk(late, b"eXIf", exif.tobytes()[6:])
    whole = content.getvalue()
    end = whole.index(b"IEND") - 4
    (tmp_path / "late.png").write_bytes(whole[:end] + late.getvalue() + whole[end:])
    np.testing.assert_array_equal(decode(tmp_path / "late.png", SCENE.shape), SCENE)


MEASURE = """
import sys
from pathlib import Path
from netc.runtime.data.image_file import decode
from netc.runtime.data.errors import DataError

def most():  # kilobytes so far; not ru_maxrss, which begins at what the parent took
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])

decode(Path(sys.argv[1]), (8, 8, 3))  # what a first image takes
before = most()
try:
    decode(Path(sys.argv[2]), (64, 64, 3))
except DataError as error:
    print(error)
print(most() - before)
"""


def measured(small, path):
    done = subprocess.run([sys.executable, "-c", MEASURE, small, path], check=True, capture_output=True, text=True)
    *said, kilobytes = done.stdout.splitlines()
    return said, int(kilobytes) * 1024


@pytest.mark.skipif("VmHWM:" not in Path("/proc/self/status").read_text(), reason="the system counts no memory")
@pytest.mark.parametrize(
    ("mode", "size", "ending", "read"),
    [
        ("RGB", (9000, 9000), "png", False),
        ("RGBA", (4000, 4000), "png", False),
        ("RGB", (4000, 3000), "png", True),
        ("L", (6000, 8000), "png", True),
        ("RGB", (6000, 5000), "jpg", True),
        ("P", (4000, 4000), "gif", False),
        ("P", (2600, 2600), "gif", True),
        ("RGB", (4000, 4000), "webp", False),
        ("CMYK", (6000, 5000), "jpg", True),
    ],
)
def test_a_small_file_takes_no_large_memory(tmp_path, mode, size, ending, read):
    """n bytes may take 64 MB and 16 n more; a photograph of many pixels is read all the same, at a part of its size."""
    Image.fromarray(SCENE).save(tmp_path / f"small.{ending}")
    path = tmp_path / f"large.{ending}"
    Image.new(mode, size).save(path)
    said, taken = measured(tmp_path / f"small.{ending}", path)
    assert taken < (70 << 20) + 16 * path.stat().st_size  # 6 MB for decoders
    assert [line for line in said if "it may be a decompression bomb" in line] == said
    assert bool(said) is not read
    if not read:
        with pytest.raises(DataError, match="it may be a decompression bomb"):
            survey(path)


def test_a_large_photograph_looks_as_it_would(tmp_path):
    path = tmp_path / "large.jpg"
    scene = Image.fromarray(SCENE).resize((6000, 4000), Image.Resampling.BICUBIC)
    scene.save(path, "MPO", save_all=True, append_images=[scene.rotate(180)], quality=60)  # two, as telephones do
    expected = np.asarray(scene.resize((60, 40), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(decode(path, (40, 60, 3)) - expected).max() <= 6  # JPEG's own loss among it
