"""`rounding` and `bias_correction` below `quantize:`: their values, defaults, and what needs samples.

Imports no numpy: plans are made with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from modelbuild.errors import ModelbuildError

LARGEST, LEAST_SQUARES = "max", "mse"  # the range of weights: the largest |w|, or of the least squared error
NEAREST, OBSERVED = "nearest", "observed"  # which need no samples
ROUNDINGS = (NEAREST, OBSERVED, "squant", "adaround")
BIAS_CORRECTIONS = ("none", "parallel", "sequential")
FINE = "adaround"  # the rounding of weights of few bits, where none is chosen
FEW_BITS = 4  # weights of so few have ranges of their own choice, and may use the lowest code


def read_rounding(key: str, value: Any) -> str:
    """How weights are rounded."""
    return _one_of(key, value, ROUNDINGS)


def read_weights_range(key: str, value: Any) -> str:
    """How far the codes of weights reach."""
    return _one_of(key, value, (LARGEST, LEAST_SQUARES))


def read_bias_correction(key: str, value: Any) -> str:
    """How mean errors are taken out of biases."""
    return _one_of(key, value, BIAS_CORRECTIONS)


def _one_of(key: str, value: Any, names: Sequence[str]) -> str:
    if value not in names:
        raise ModelbuildError(f"{key}: {value!r} is not one of {', '.join(names)}")
    return str(value)


def needs_samples(settings: Mapping[str, Any], available: Sequence[str]) -> bool:
    """Whether the record is, or may come to be, made with samples: `settings` are JSON, `available` the
    chip's weights. A scheme may give weights any format that the chip has: the file is not read here."""
    chosen = asks_for_samples(settings.get("rounding"), settings.get("bias_correction"))
    if chosen is not None:
        return chosen
    return any(bits_of_name(name) <= FEW_BITS for name in _weights(settings, available))


def asks_for_samples(rounding: str | None, bias_correction: str | None) -> bool | None:
    """Whether the settings themselves say that samples are needed; None: the bits of the weights do."""
    if bias_correction == "sequential":
        return True
    return None if rounding is None else rounding not in (NEAREST, OBSERVED)


def bits_of_name(name: str) -> int:
    """4 of int4; 16 of bfloat16, which is no integer."""
    digits = "".join(letter for letter in name if letter.isdigit())
    return int(digits) if digits else 16


def _weights(settings: Mapping[str, Any], available: Sequence[str]) -> Iterator[str]:
    """The formats that weights may come to have."""
    wanted = settings.get("weights")
    names = [wanted] if isinstance(wanted, str) else list(wanted or available[:1])
    yield next((name for name in names if name in available), available[0])
    if settings.get("scheme"):
        yield from available
    for node in (settings.get("nodes") or {}).values():
        if isinstance(node, Mapping) and isinstance(node.get("weights"), str):
            yield node["weights"]
