"""What of a quantized model has more than 8 bits, and what a speed predicted for 8 bits leaves out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelbuild.graph.check import Finding

NARROW = 8  # the bits that the chip model's prediction is of
_KEYS = ("activations", "weights")


@dataclass(frozen=True)
class Widths:
    """`layers` are those that have a number format of their own; `wide` ones have 16 bits in what they leave
    or in their weights. They and the MACs are null where nothing is wide,
    and where the record was given, so that the model was not looked at."""

    tensors: int
    tensors_wide: int
    layers: int | None = None
    layers_wide: int | None = None
    macs: int | None = None
    macs_int16: int | None = None


def widths(quantize: Mapping[str, Any]) -> Widths:
    """Counted from quantize.json."""
    tensors = quantize.get("tensors") or ()
    wide = sum((tensor.get("bits") or NARROW) > NARROW for tensor in tensors)
    found = quantize.get("sensitivity")
    if not found or not wide:
        return Widths(tensors=len(tensors), tensors_wide=wide)
    nodes = [node for node in found["nodes"] if node["op"]]
    return Widths(
        tensors=len(tensors),
        tensors_wide=wide,
        layers=len(nodes),
        layers_wide=sum(any(str(node[key]).endswith("16") for key in _KEYS) for node in nodes),
        macs=found["macs"],
        macs_int16=found["macs_int16"],
    )


def share(counted: Widths) -> str:
    """For people: `2 of 9 layers and 31 % of the MACs have 16 bits`; "" where nothing has."""
    if not counted.tensors_wide:
        return ""
    if counted.layers is None or counted.macs is None or counted.macs_int16 is None:
        return f"{counted.tensors_wide} of {counted.tensors} tensors have 16 bits"
    macs = 100 * counted.macs_int16 / counted.macs if counted.macs else 0.0
    return f"{counted.layers_wide} of {counted.layers} layers and {macs:.3g} % of the MACs have 16 bits"


def caveat(quantize: Mapping[str, Any], evaluated: Mapping[str, Any]) -> str:
    """What a predicted speed (evaluate.json) does not tell of this model; "" where it is of the same number
    formats, or where all of the model has 8 bits."""
    if all(quantize.get(key) == evaluated.get(key, "") for key in _KEYS):
        return ""
    told = share(widths(quantize))
    return f"predicted for 8 bits, but {told}: it will be slower" if told else ""


def of_speed(quantize: Mapping[str, Any], evaluated: Mapping[str, Any]) -> list[Finding]:
    """MB306, where the model has a bound on speed."""
    told = caveat(quantize, evaluated)
    message = f"the bound on `fps` is judged on a speed {told}"
    advice = "measure on the chip, or leave room in the bound"
    return [Finding("MB306", "warning", message, advice, "")] if told else []
