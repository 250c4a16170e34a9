"""Picture files -> pillow images in mode L or RGB, with limits on what a file may claim."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from modelbuild.errors import ModelbuildError
from modelbuild.lfs import is_pointer, pointer_error

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".pgm", ".ppm", ".pnm", ".webp", ".gif"})
MAX_PIXELS = 1 << 26  # 192 MiB as RGB; a file that claims more is refused before anything is decoded
FORMATS = ("PNG", "JPEG", "BMP", "PPM", "WEBP", "GIF")
_GREY = frozenset({"1", "L", "LA"})
_WIDE_GREY = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})  # 0..65535


def open_image(path: Path) -> Image.Image:
    """The decoded picture in mode L (greyscale files) or RGB (all others), upright as its EXIF says.

    Transparency is ignored: the colours are taken as stored. 16-bit greyscale is rounded to 8 bits.
    Animations, truncated files and pictures of more than `MAX_PIXELS` are errors that name the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pillow's own, weaker warning about large pictures
            with Image.open(path, formats=FORMATS) as image:
                _check_header(image, path)
                image.load()
                upright = ImageOps.exif_transpose(image)
        return to_8_bit(upright)
    except ModelbuildError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(path) from error
    except OSError as error:
        if error.errno is not None:
            raise ModelbuildError(
                "cannot read the picture", where=str(path), why=error.strerror or ""
            ) from error
        raise _undecodable(path, error) from error
    except Exception as error:  # decoders raise whatever a damaged file makes them stumble over
        raise _undecodable(path, error) from error


def to_8_bit(image: Image.Image) -> Image.Image:
    """The same picture in mode L or RGB."""
    if image.mode in ("L", "RGB"):
        return image
    if image.mode in _WIDE_GREY:
        wide = np.asarray(image).astype(np.int64)
        return Image.fromarray(((wide * 255 + 32767) // 65535).clip(0, 255).astype(np.uint8))
    if image.mode == "F":
        raise ModelbuildError("the picture holds floating-point values", advice="save it as a float32 .npy")
    return image.convert("L" if image.mode in _GREY else "RGB")


def _check_header(image: Image.Image, path: Path) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise ModelbuildError(f"the picture is {width}x{height} pixels", where=str(path))
    if width * height > MAX_PIXELS:
        raise _too_large(path, f"{width}x{height} pixels")
    if getattr(image, "is_animated", False) and image.format != "MPO":
        frames = getattr(image, "n_frames", 0)
        raise ModelbuildError(
            f"the picture is an animation of {frames} frames",
            where=str(path),
            why="a sample is one picture",
            advice="save the frames that matter as files of their own",
        )


def _too_large(path: Path, size: str = "far more") -> ModelbuildError:
    return ModelbuildError(
        "the picture is too large",
        where=str(path),
        why=f"it claims {size}; the limit is {MAX_PIXELS} pixels",
        advice="scale it down before using it as a sample",
    )


def _undecodable(path: Path, error: Exception) -> ModelbuildError:
    if is_pointer(path):
        return pointer_error(path)
    what = "the picture is truncated" if "truncated" in str(error).lower() else "cannot decode the picture"
    # pillow's own words may hold the address of an object or the path once more: neither belongs in a message
    why = "" if "cannot identify" in str(error) else str(error).split(" <", 1)[0]
    return ModelbuildError(
        what,
        where=str(path),
        why=why or f"it is none of {', '.join(FORMATS)}, or damaged at its start",
        advice="replace the file, or take it out of the sample set",
    )
