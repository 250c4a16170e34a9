"""What a layer's `dtype` says: a type, or a policy under a name or as a class of Keras 3."""

from __future__ import annotations

from typing import Any

from modelbuild.importers.keras.call import Call

_HALF = ("mixed_float16", "mixed_bfloat16", "float16", "bfloat16")
_QUANTIZED = ("int8_from_", "int4_from_", "float8_from_", "gptq", "awq")


def _policy(dtype: Any) -> str:
    if isinstance(dtype, dict):
        settings = dtype.get("config")
        dtype = settings.get("name", settings.get("mode")) if isinstance(settings, dict) else None
    return dtype if isinstance(dtype, str) else ""


def is_half(dtype: Any) -> bool:
    """Whether a layer of this `dtype` calculates in half precision, whatever its weights are in."""
    return _policy(dtype) in _HALF


def check(call: Call) -> None:
    """Raises for a layer whose weights Keras 3 has quantized."""
    name = _policy(call.step.layer.config.get("dtype"))
    if name.startswith(_QUANTIZED):
        call.fail(
            f"is quantized (`{name[:40]}`)",
            why="its weights are codes whose scales only Keras applies",
            advice="save the model before `model.quantize(...)`; the chip's own quantization comes later",
        )
