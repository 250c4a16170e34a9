"""Which settings need samples when the record is made. Imports no numpy: plans are made with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from modelbuild.quantize.mixed_settings import AUTO
from modelbuild.quantize.rounding_settings import FEW_BITS, NEAREST, OBSERVED, USUAL_BITS, bits_of_name
from modelbuild.quantize.settings import DEFAULT_METHOD

ENOUGH = 32  # samples; of fewer, the mean errors that biases make up for say too little


def needs_samples(settings: Mapping[str, Any], available: Sequence[str], samples: int) -> bool:
    """Whether the record is, or may come to be, made with samples: `settings` are JSON, `available` the
    chip's weights, `samples` how many there are. Neither the model, which may be a small one, nor a scheme,
    which may give weights any format that the chip has, is read here."""
    chosen = asks_for_samples(settings.get("rounding"), settings.get("bias_correction"))
    if chosen is not None:
        return chosen
    method = (settings.get("range") or {}).get("method", DEFAULT_METHOD)
    by_size = rounds_by_size(settings.get("mode"), method, samples)
    return any(
        bits_of_name(name) <= (USUAL_BITS if by_size else FEW_BITS) for name in _weights(settings, available)
    )


def asks_for_samples(rounding: str | None, bias_correction: str | None) -> bool | None:
    """Whether the settings themselves say that samples are needed; None: the bits of the weights do."""
    if bias_correction == "sequential":
        return True
    return None if rounding is None else rounding not in (NEAREST, OBSERVED)


def rounds_by_size(mode: str | None, method: str, samples: int) -> bool:
    """Whether weights of 8 bits are rounded with samples where the model is small (refining.py), if nobody
    says how they are to be. What `mode: auto` has measured stays as it is."""
    return mode != AUTO and method == DEFAULT_METHOD and samples >= ENOUGH


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
