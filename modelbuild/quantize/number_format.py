"""A chip's number format and the user's settings -> how tensors become integers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.chips.recipe import NumberFormat
from modelbuild.errors import ModelbuildError

SMALLEST_RANGE = 1e-30  # below this a tensor counts as all zero


@dataclass(frozen=True)
class TensorFormat:
    """Bits, sign, whether the zero point is 0, and which scales the chip can express.

    `form`: free; power_of_two (2^k); radix (1 / (m * 2^radix), m a float32 in [1, 2), as Kneron stores it).
    """

    bits: int
    signed: bool
    symmetric: bool
    form: str

    @property
    def low(self) -> int:
        """The smallest integer."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """The largest integer."""
        return self.low + (1 << self.bits) - 1

    def grid(self, low: float, high: float) -> tuple[float, int]:
        """(scale, zero point) of the finest grid of this format that covers [low, high] and 0."""
        low, high = min(low, 0.0), max(high, 0.0)
        if high - low < SMALLEST_RANGE:
            return 1.0, (0 if self.symmetric else self.zero_point(0.0, 1.0))
        if self.symmetric:
            scale = max(high / self.high, low / self.low if self.low else 0.0)
        else:
            scale = (high - low) / (self.high - self.low)
        scale = express(scale, self.form)
        return scale, (0 if self.symmetric else self.zero_point(low, scale))

    def zero_point(self, low: float, scale: float) -> int:
        """The integer that stands for 0 when `low` is the smallest real number."""
        return min(max(round(self.low - low / scale), self.low), self.high)

    def tensor(self, name: str, shape: tuple[int, ...], scale: float, zero_point: int) -> QuantizedTensor:
        """A tensor of this format."""
        return QuantizedTensor(name, shape, self.bits, self.signed, scale, zero_point)


@dataclass(frozen=True)
class Formats:
    """What a model's activations and weights are made of."""

    activation: TensorFormat
    weight_bits: int
    per_channel: bool

    def to_text(self) -> str:
        """One line for the record's header."""
        form = self.activation
        return (
            f"activations={'' if form.signed else 'u'}int{form.bits} weights=int{self.weight_bits} "
            f"symmetric={_yes(form.symmetric)} scale={form.form} per_channel={_yes(self.per_channel)}"
        )


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def express(scale: float, form: str) -> float:
    """The nearest scale of the form; for a power of two the next one up, so that nothing is clipped more."""
    if form == "free":
        return scale
    if form == "power_of_two":
        mantissa, exponent = math.frexp(scale)
        return math.ldexp(1.0, exponent - 1 if mantissa == 0.5 else exponent)
    mantissa, exponent = math.frexp(1.0 / scale)
    return 1.0 / math.ldexp(float(np.float32(mantissa)), exponent)


def radix_of(scale: float) -> int:
    """The radix r with 1 / scale = m * 2^r and 1 <= m < 2."""
    return math.frexp(1.0 / scale)[1] - 1


def formats_of(number_format: NumberFormat, settings: Mapping[str, Any]) -> Formats:
    """The formats that the settings choose among what the chip has. Raises (exit 2) on anything else."""
    activations = _choice("activations", settings.get("activations"), number_format.activations)
    weights = _choice("weights", settings.get("weights"), number_format.weights)
    signed = not activations.startswith("u")
    if number_format.symmetric_activations and not signed:
        raise ModelbuildError(f"activations: {activations} needs a zero point, which this chip does not have")
    activation = TensorFormat(
        int(activations.removeprefix("u").removeprefix("int")),
        signed,
        number_format.symmetric_activations,
        number_format.scale,
    )
    return Formats(activation, int(weights.removeprefix("int")), number_format.per_channel_weights)


def _choice(key: str, wanted: object, available: Sequence[str]) -> str:
    """The first of the wanted names (one or a list) that the chip has; its default when none is given."""
    if wanted is None:
        return available[0]
    names = [wanted] if isinstance(wanted, str) else wanted
    if isinstance(names, Sequence):
        for name in names:
            if name in available:
                return str(name)
    raise ModelbuildError(
        f"{key}: {wanted} is not available on this chip", advice=f"it has {', '.join(available)}"
    )
