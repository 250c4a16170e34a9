"""Picture files of every accepted kind, and of the kinds that must be refused by name."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from PIL import Image

from modelbuild.errors import ModelbuildError
from modelbuild.samples import images
from tests.hypotheses import examples


def gradient() -> Image.Image:
    return Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3) * 5)


@pytest.mark.parametrize("suffix", ["png", "bmp", "ppm", "webp"])
def test_lossless_formats_give_the_pixels(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    gradient().save(path, **({"lossless": True} if suffix == "webp" else {}))
    np.testing.assert_array_equal(np.asarray(images.open_image(path)), np.asarray(gradient()))


def test_greyscale_stays_greyscale(tmp_path: Path) -> None:
    for suffix in ("png", "pgm", "gif", "jpg"):
        path = tmp_path / f"a.{suffix}"
        Image.new("L", (3, 2), 60).save(path)
        assert np.unique(np.asarray(images.open_image(path).convert("L"))).tolist() == [60]
    assert images.open_image(tmp_path / "a.pgm").mode == "L"


def test_16_bit_greyscale_is_rounded_to_8(tmp_path: Path) -> None:
    values = np.array([[0, 128, 129, 257, 32768, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    (tmp_path / "a.pgm").write_bytes(b"P5 6 1 65535\n" + values.astype(">u2").tobytes())
    for name in ("a.png", "a.pgm"):
        assert np.asarray(images.open_image(tmp_path / name)).tolist() == [[0, 0, 1, 1, 128, 255]]


def test_palette_and_bilevel_become_colours(tmp_path: Path) -> None:
    palette = Image.new("P", (2, 1))
    palette.putpalette([1, 2, 3, 250, 251, 252])
    palette.putdata([0, 1])
    palette.save(tmp_path / "p.png")
    assert np.asarray(images.open_image(tmp_path / "p.png")).tolist() == [[[1, 2, 3], [250, 251, 252]]]
    Image.new("1", (2, 1), 1).save(tmp_path / "b.png")
    assert np.asarray(images.open_image(tmp_path / "b.png")).tolist() == [[255, 255]]


def test_transparency_is_ignored(tmp_path: Path) -> None:
    Image.new("RGBA", (1, 1), (10, 20, 30, 0)).save(tmp_path / "a.png")
    Image.new("LA", (1, 1), (40, 0)).save(tmp_path / "la.png")
    assert np.asarray(images.open_image(tmp_path / "a.png")).tolist() == [[[10, 20, 30]]]
    assert np.asarray(images.open_image(tmp_path / "la.png")).tolist() == [[40]]


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by 90 degrees
    gradient().resize((8, 4)).save(tmp_path / "a.png", exif=exif)
    assert images.open_image(tmp_path / "a.png").size == (4, 8)


def refused(path: Path) -> str:
    with pytest.raises(ModelbuildError) as caught:
        images.open_image(path)
    assert str(path) in str(caught.value) and caught.value.exit_code == 2
    assert "object at" not in str(caught.value)
    return str(caught.value)


def test_truncated_files_are_named(tmp_path: Path) -> None:
    for suffix in ("png", "jpg"):
        path = tmp_path / f"a.{suffix}"
        Image.effect_noise((64, 64), 90).save(path)
        path.write_bytes(path.read_bytes()[:900])
        assert "truncated" in refused(path)


def test_other_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"")
    assert "cannot decode" in refused(path)
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n")
    assert "Git LFS pointer" in refused(path)
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")
    assert "cannot decode" in refused(path)
    assert "cannot read" in refused(tmp_path / "missing.png")
    assert "cannot read" in refused(tmp_path)


def test_a_decompression_bomb_is_refused_before_decoding(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    path = tmp_path / "bomb.png"
    for size in ((10_000, 10_000), (100_000, 100_000)):
        header = struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)
        path.write_bytes(
            b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
        )
        assert "too large" in refused(path)


def test_animations_are_refused(tmp_path: Path) -> None:
    frames = [Image.new("L", (4, 4), value) for value in (0, 100, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert "animation of 3 frames" in refused(tmp_path / "a.gif")


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "gif", "webp", "ppm"])
@examples(60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_give_pictures_or_clean_errors(
    tmp_path: Path, suffix: str, data: st.DataObject
) -> None:
    whole = tmp_path / f"whole.{suffix}"
    if not whole.exists():
        gradient().resize((20, 20)).save(whole)
    damaged = bytearray(whole.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / f"damaged.{suffix}"
    path.write_bytes(damaged[: data.draw(st.integers(1, len(damaged)))])
    try:
        assert images.open_image(path).mode in ("L", "RGB")
    except ModelbuildError as error:
        assert str(path) in str(error)
