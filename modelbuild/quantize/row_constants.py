"""The integers of an operator with weights: weights, biases, and what rescales each row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.quantize.record_places import line_of_correction
from modelbuild.quantize.source_quantization import scales_of
from modelbuild.quantize.weighted import Weighted
from modelbuild.quantize.weights import QuantizedWeights, quantize_weights, unpack_flips

if TYPE_CHECKING:
    from modelbuild.quantize.assembly import Assembly


def row_constants(
    assembly: Assembly, found: Weighted, x: QuantizedTensor, y: QuantizedTensor
) -> dict[str, NDArray[Any]]:
    """weight, bias, multiplier and shift of one weighted operator."""
    made = row_codes(assembly, found, x)
    factors = x.scale * made.scales.astype(np.float64) / y.scale
    bits = 16 if max(assembly.weight_formats(x, found.name).weight_bits, x.bits) > 8 else 8
    multipliers, shifts = assembly.decompose_each(factors, bits)
    return {
        "weight": np.ascontiguousarray(made.integers),
        "bias": made.bias,
        "multiplier": multipliers.astype(np.int32),
        "shift": shifts.astype(np.int32),
    }


def row_codes(assembly: Assembly, found: Weighted, x: QuantizedTensor) -> QuantizedWeights:
    """The weights and biases of one weighted operator as the record has them, rounded and corrected."""
    formats, record = assembly.weight_formats(x, found.name), assembly.record
    if not (np.isfinite(found.weight).all() and np.isfinite(found.bias).all()):
        assembly.fail("its weights hold numbers that are not finite")
    bits, form = formats.weight_bits, formats.activation.form
    clip = record.corrections.get("clip", {}).get(assembly.step.outputs[0])
    correction = record.corrections.get("bias", {}).get(assembly.step.outputs[0])
    bits_of_operands = 16 if max(bits, x.bits) > 8 else 8
    scales, kept = scales_of(assembly.entry(found.name), found, formats, clip)
    flips = _flips(assembly, found, kept)
    made = quantize_weights(
        found.weight, found.bias, x.scale, scales, bits, bits_of_operands, form, correction, kept, flips
    )
    if correction is not None:
        _check_room(assembly, correction, np.rint(found.bias / (x.scale * made.scales)), made.bias)
    return made


def _flips(assembly: Assembly, found: Weighted, kept: bool) -> NDArray[np.bool_] | None:
    """Which weights the record rounds to the other neighbour."""
    packed = assembly.record.corrections.get("round", {}).get(assembly.step.outputs[0])
    if packed is None:
        return None
    y = assembly.step.outputs[0]
    if kept:
        assembly.record.places.refuse(
            line_of_correction("round", y, packed[0]),
            f"the record rounds the weights of {y!r}, which are the source's own integers",
            advice="take its `correct round` lines out",
        )
    return unpack_flips(packed, found.weight.shape)


def _check_room(
    assembly: Assembly, correction: Sequence[int], exact: NDArray[Any], biases: NDArray[Any]
) -> None:
    """A correction of the user's is refused where the bias would not fit. (Ours stop at what does.)"""
    y = assembly.step.outputs[0]
    key = line_of_correction("bias", y)
    beyond = np.flatnonzero(exact.astype(np.float64) + np.asarray(correction, np.float64) != biases)
    if key in assembly.record.edited and len(beyond):
        channel = int(beyond[0])
        assembly.record.places.refuse(
            key,
            f"the record's `correct bias` of {y!r} cannot be used",
            why=f"with {correction[channel]} the bias of channel {channel} is beyond {int(biases[channel])}, "
            "half of what an accumulator holds",
            advice="edit the line",
        )
