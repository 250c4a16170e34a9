"""How far two weights are apart: numbers by SNR, bytes equal or not."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.errors import ModelbuildError
from modelbuild.quantize.measure import snr_db

Array = NDArray[Any]
_BYTES = "bytes that modelbuild does not read as numbers"
_CHUNK = 1 << 20  # elements that are compared at once: in float64 they take 8 MiB


@dataclass(frozen=True)
class Digest:
    """What is left of bytes that are held against others, and not kept."""

    size: int
    sha256: str

    @classmethod
    def of(cls, data: bytes) -> Digest:
        """That of these bytes."""
        return cls(len(data), hashlib.sha256(data).hexdigest())


def blob(data: bytes, closed: str) -> Weight:
    """Bytes that are equal or not, and `closed` why."""
    found = Digest.of(data)
    return Weight(lambda: found, closed=closed)


@dataclass(frozen=True)
class Weight:
    """One tensor or blob; `load` gives its numbers, or its bytes where nobody knows what they mean. `why` it
    cannot be read, else "". `scale` gives real numbers from codes. `closed` says why there are bytes only."""

    load: Callable[[], Array | bytes | Digest]
    scale: tuple[Array, Array] | None = None  # scales and zero points, as shaped as the codes need
    why: str = ""
    closed: str = ""


def compare(name: str, a: Weight | None, b: Weight | None) -> dict[str, Any]:
    """{name, change, equal, snr_db, max_abs, why, a, b}. `change` is same, changed, added or removed; a and b
    are {shape, dtype, size, sha256} or null; snr_db is null where the numbers are equal or cannot be held
    against each other."""
    first, why_first = _loaded(a)
    second, why_second = _loaded(b)
    entry: dict[str, Any] = {
        "name": name,
        "change": "added" if a is None else "removed" if b is None else "changed",
        "equal": False,
        "snr_db": None,
        "max_abs": None,
        "why": why_first or why_second or None,
        "a": _described(first),
        "b": _described(second),
    }
    if a is None or b is None or first is None or second is None:
        return entry
    if entry["a"] == entry["b"] and _same_scale(a, b):
        return entry | {"change": "same", "equal": True}
    if isinstance(first, bytes | Digest) or isinstance(second, bytes | Digest):
        return entry | {"why": a.closed or b.closed or _BYTES}
    if first.shape != second.shape:
        return entry | {"why": "the shapes differ"}
    return entry | _apart(first, second, a, b)


def _loaded(weight: Weight | None) -> tuple[Array | bytes | Digest | None, str]:
    if weight is None or weight.why:
        return None, "" if weight is None else weight.why
    try:
        return weight.load(), ""
    except ModelbuildError as error:
        return None, error.problems[0].what
    except OSError as error:
        return None, error.strerror or str(error)


def _described(values: Array | bytes | Digest | None) -> dict[str, Any] | None:
    if values is None:
        return None
    if isinstance(values, bytes | Digest):
        found = Digest.of(values) if isinstance(values, bytes) else values
        return {"shape": None, "dtype": None, "size": found.size, "sha256": found.sha256}
    little = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"), copy=False))
    digest = hashlib.sha256(little.reshape(-1).view(np.uint8).data).hexdigest()
    shape = [int(dim) for dim in values.shape]
    return {"shape": shape, "dtype": values.dtype.name, "size": values.nbytes, "sha256": digest}


def _same_scale(a: Weight, b: Weight) -> bool:
    if a.scale is None or b.scale is None:
        return a.scale is b.scale
    return all(np.array_equal(x, y) for x, y in zip(a.scale, b.scale, strict=True))


def _apart(first: Array, second: Array, a: Weight, b: Weight) -> dict[str, Any]:
    """SNR in dB and the largest difference: of real numbers where both tell how codes become some."""
    if {first.dtype.kind, second.dtype.kind} - set("fiubV") or "V" in (first.dtype.kind, second.dtype.kind):
        return {"why": "they are no real numbers"}
    if not (_fits(first, a.scale) and _fits(second, b.scale)):
        return {"why": "there are not as many scales as the shape wants"}
    real = all(one.scale or values.dtype.kind == "f" for one, values in ((a, first), (b, second)))
    x, y = (_Real(values, one.scale if real else None) for values, one in ((first, a), (second, b)))
    signal, noise, largest = _sums(x, y)
    if not np.isfinite([signal, noise, largest]).all():
        return {"why": "some are infinite, no numbers, or too large to be squared"}
    if noise == 0.0:
        return {"why": "the same numbers in another form"}
    return {"snr_db": snr_db(signal, noise), "max_abs": largest}


class _Real:
    """The numbers of a tensor in float64, a piece at a time: all at once they take eight times its codes."""

    def __init__(self, codes: Array, scale: tuple[Array, Array] | None) -> None:
        self._codes = codes.reshape(-1)
        self._scale = None if scale is None else [np.broadcast_to(one, codes.shape).flat for one in scale]
        self.size = codes.size

    def __getitem__(self, place: slice) -> Array:
        found: Array = self._codes[place].astype(np.float64)
        if self._scale is not None:
            scales, zeros = (one[place] for one in self._scale)
            found = (found - zeros) * scales
        return found


def _sums(x: _Real, y: _Real) -> tuple[float, float, float]:
    """(sum of x squared, sum of (y - x) squared, largest |y - x|), a piece at a time."""
    signal = noise = largest = 0.0
    with np.errstate(all="ignore"):
        for start in range(0, x.size, _CHUNK):
            a = x[start : start + _CHUNK]
            apart = y[start : start + _CHUNK] - a
            signal += float(np.add.reduce(a * a))
            noise += float(np.add.reduce(apart * apart))
            largest = float(np.maximum(largest, np.abs(apart).max()))
    return signal, noise, largest


def _fits(codes: Array, scale: tuple[Array, Array] | None) -> bool:
    """Whether each of the codes has a scale and a zero point."""
    try:
        return all(np.broadcast_shapes(one.shape, codes.shape) == codes.shape for one in scale or ())
    except ValueError:
        return False
