"""A chip's number format and the user's settings -> how tensors become integers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.chips.recipe import NumberFormat
from modelbuild.errors import ModelbuildError
from modelbuild.quantize.mixed_settings import CHOSEN
from modelbuild.quantize.settings import Settings

FLOAT = "float"  # in the names of formats that are none of integers: float32, bfloat16
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
    def name(self) -> str:
        """As settings and records have it: int8, uint8, int16."""
        return f"{'' if self.signed else 'u'}int{self.bits}"

    @cached_property
    def low(self) -> int:
        """The smallest integer."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @cached_property
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
class Bits:
    """Formats by name, where they are not the model's: of tensors (by the root whose scale they have) and of
    weights (by their constant)."""

    tensors: Mapping[str, str] = field(default_factory=dict)  # "int16"
    weights: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Formats:
    """What a model's activations and weights are made of: all but those that `own` names.

    `activations` and `weights` are what the chip has, by name.
    """

    activation: TensorFormat
    weight_bits: int
    per_channel: bool
    activations: Mapping[str, TensorFormat] = field(default_factory=dict)
    weights: tuple[str, ...] = ()
    own: Bits = field(default_factory=Bits)
    wide_tables: bool = True  # whether functions take 16 bits as they are

    def of(self, root: str) -> TensorFormat:
        """The format of a tensor, by the root whose scale it has."""
        name = self.own.tensors.get(root)
        return self.activation if name is None else self.activations[name]

    def at(self, root: str, weights: str) -> Formats:
        """Those of one node: of the tensor that it reads, and of its weights."""
        name = self.own.weights.get(weights)
        bits = self.weight_bits if name is None else bits_of(name)
        return replace(self, activation=self.of(root), weight_bits=bits)

    def with_own(self, own: Bits) -> Formats:
        """The same, but for what `own` names. Raises (exit 2) on what the chip lacks."""
        for names, available in ((own.tensors, tuple(self.activations)), (own.weights, self.weights)):
            for tensor, name in names.items():
                if name not in available:
                    raise ModelbuildError(
                        f"{name} for {tensor!r} is not available on this chip",
                        advice=f"it has {', '.join(available)}",
                    )
        return replace(self, own=own)

    def to_text(self) -> str:
        """One line for the record's header."""
        form = self.activation
        return (
            f"activations={form.name} weights=int{self.weight_bits} "
            f"symmetric={_yes(form.symmetric)} scale={form.form} per_channel={_yes(self.per_channel)}"
        )


def bits_of(name: str) -> int:
    """The bits of a number format: 16 of int16."""
    return int(name.removeprefix("u").removeprefix("int"))


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


SCALES_OF = {  # what a chip can express, in words
    "free": "any numbers",
    "power_of_two": "powers of two",
    "radix": "1 / (m * 2^radix), m of 24 bits",
}


def nearest_scale(scale: float, form: str) -> float:
    """The nearest scale of the form, of powers of two by ratio; the scale itself where the chip has it."""
    if form != "power_of_two":
        return express(scale, form)
    mantissa, exponent = math.frexp(scale)
    return math.ldexp(1.0, exponent - 1 if mantissa < math.sqrt(0.5) else exponent)


def radix_of(scale: float) -> int:
    """The radix r with 1 / scale = m * 2^r and 1 <= m < 2."""
    return math.frexp(1.0 / scale)[1] - 1


def formats_of(number_format: NumberFormat, settings: Settings) -> Formats:
    """The formats that the settings choose among what the chip has. Raises (exit 2) on anything else."""
    activations = _choice("activations", settings.activations, number_format.activations)
    weights = _choice("weights", settings.weights, number_format.weights)
    symmetric = _switch("symmetric", settings.symmetric, number_format.symmetric_activations, only=True)
    if symmetric and activations.startswith("u"):
        raise ModelbuildError(
            f"activations: {activations} needs a zero point, and `symmetric: true` says that there is none",
            why="without one, no number below 0 could be written",
            advice="leave `symmetric` out",
        )
    forms: dict[str, TensorFormat] = {
        name: TensorFormat(bits_of(name), not name.startswith("u"), symmetric, number_format.scale)
        for name in number_format.activations
        if FLOAT not in name
    }
    per_channel = _switch("per_channel", settings.per_channel, number_format.per_channel_weights, only=False)
    whole = tuple(name for name in number_format.weights if FLOAT not in name)
    wide = number_format.has_tables_of_16_bits
    return Formats(forms[activations], bits_of(weights), per_channel, forms, whole, wide_tables=wide)


def _switch(key: str, wanted: bool | None, own: bool, *, only: bool) -> bool:
    """What is wanted, where the chip has both; `own` is what it has, all that it has where that is `only`."""
    if wanted is None or wanted == own or own != only:
        return own if wanted is None else wanted
    raise ModelbuildError(f"{key}: {str(wanted).lower()} is not available on this chip")


def _choice(key: str, wanted: Sequence[str] | None, available: Sequence[str]) -> str:
    """The first of the wanted names that the chip has; its default when none is given."""
    if wanted is None or wanted == (CHOSEN,):
        return available[0]
    for name in wanted:
        if name in available and FLOAT in name:
            raise ModelbuildError(f"{key}: {name} is not built yet", why="fixed-point models hold no floats")
        if name in available:
            return name
    raise ModelbuildError(
        f"{key}: {' or '.join(wanted)} is not available on this chip", advice=f"it has {', '.join(available)}"
    )
