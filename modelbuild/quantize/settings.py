"""What `quantize` is told: the mapping of the manifest, read into one value. Imports no numpy: the manifest
reads it, too."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelbuild.errors import ModelbuildError, did_you_mean
from modelbuild.quantize import mixed_settings, rounding_settings
from modelbuild.quantize.mixed_settings import NodeFormats

DEFAULT_METHOD = "output_error"
# Range method -> its options.
METHOD_OPTIONS: dict[str, frozenset[str]] = {
    "entropy": frozenset({"bins"}),
    "minmax": frozenset(),
    "moving_average": frozenset({"momentum"}),
    "mse": frozenset({"bins", "max_clipped", "outlier_factor"}),
    "output_error": frozenset({"bins"}),
    "percentile": frozenset({"bins", "percentile", "percentile_16bit"}),
}
# What an option is where it is not given; `percentile_16bit` is then as `percentile`.
OPTION_DEFAULTS: dict[str, float] = {
    "bins": 4096,
    "max_clipped": 1.0,
    "momentum": 0.9,
    "outlier_factor": 1.0,
    "percentile": 99.99,
}
BINS = (256, 512, 1024, 2048, 4096)  # that a histogram may be seen with
SMOOTH = "smooth"  # as `equalize:`: factors by a rule
LARGEST = 3.4028234663852886e38  # of float32, which tensors are
THREADS = 2  # samples that are run at once, where no other number is given
AHEAD = 2  # samples that may wait to be counted, so that what runs the model need not
OUTPUT_FUNCTIONS = ("none", "sigmoid")  # that may follow the outputs behind the chip


@dataclass(frozen=True)
class RangeSettings:
    """How the range of a tensor is chosen; `options` are those of the method."""

    method: str = DEFAULT_METHOD
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Settings:
    """Each field is a key below `quantize:`; what is not given has its default.

    `activations`, `weights`: number formats, the first that the chip has is taken; None: the chip's default.
    `ranges`: tensor -> (low, high), in place of what the method says. `strict`: a scheme has them all.
    `output_function`: what follows the model's outputs behind the chip; their ranges are those of the least
    error of its results. `symmetric`: no zero points; `per_channel`: a scale for each output channel of the
    weights; None: as the chip has it.
    `mode`: how formats are chosen a layer at a time; `flops_ratio` is its budget (mixbw), `max_measurements`
    how often a choice is measured at most (auto; None: until the goal holds), `margin_db` what it keeps in
    hand. `nodes`, `inputs`, `outputs`: formats by name; `cpu_nodes`: that of what nodes on the CPU leave.
    `weights_range`: `max`, the largest |w|, or `mse`; None: max, but where AdaRound finds one. `rounding`:
    of weights; None: adaround for those of 4 bits, and for those of 8 where the model is small and ranges are
    chosen by predicted noise, without `mode: auto`; else observed, or nearest where ranges are not so chosen.
    `bias_correction`; None: sequential where weights are rounded with samples, else parallel. `equalize`:
    cross-layer equalisation, by a rule if it is `smooth`; `split`: tensors divided by channels; None: where
    ranges are chosen by predicted noise.
    """

    activations: tuple[str, ...] | None = None
    weights: tuple[str, ...] | None = None
    range: RangeSettings = field(default_factory=RangeSettings)
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    output_function: str = "none"
    symmetric: bool | None = None
    per_channel: bool | None = None
    strict: bool = False
    mode: str | None = None
    flops_ratio: float | None = None
    max_measurements: int | None = None
    margin_db: float | None = None
    nodes: Mapping[str, NodeFormats] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    cpu_nodes: str | None = None
    rounding: str | None = None
    bias_correction: str | None = None
    equalize: bool | str | None = None
    weights_range: str | None = None
    split: bool | None = None

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Settings:
        """From JSON values. Raises (exit 2) on unknown keys and on values that no key takes."""
        for key in given:
            if key not in READERS:
                advice = did_you_mean(key, READERS) or f"it has {', '.join(sorted(READERS))}"
                raise ModelbuildError(f"quantize has no setting {key!r}", advice=advice)
        read = {key: READERS[key](key, value) for key, value in given.items() if value is not None}
        return cls(**read)


def _formats(key: str, value: Any) -> tuple[str, ...]:
    """One name of a number format, or several."""
    names = [value] if isinstance(value, str) else value
    if isinstance(names, Sequence) and names and all(isinstance(name, str) for name in names):
        return tuple(names)
    raise ModelbuildError(f"{key}: {value!r} is not a number format, nor a list of them")


def _range(key: str, value: Any) -> RangeSettings:
    if not isinstance(value, Mapping):
        raise ModelbuildError(f"quantize.{key} must be a mapping with `method`, not {value!r}")
    options = dict(value)
    method = options.pop("method", DEFAULT_METHOD)
    if method not in METHOD_OPTIONS:
        raise ModelbuildError(
            f"{method!r} is not a range method", advice=f"there are {', '.join(sorted(METHOD_OPTIONS))}"
        )
    for option in options:
        if option not in METHOD_OPTIONS[method]:
            raise ModelbuildError(f"the range method {method} has no option {option!r}")
    return RangeSettings(
        method, {option: OPTIONS[option](option, value) for option, value in options.items()}
    )


def _bins(option: str, value: Any) -> int:
    if isinstance(value, bool) or value not in BINS:
        raise ModelbuildError(f"{value!r} bins: there are {', '.join(map(str, BINS))}")
    return int(value)


def _number(words: str, holds: Callable[[float], bool]) -> Callable[[str, Any], float]:
    """What reads a number that `holds`; `words` say which."""

    def read(option: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not holds(value):
            raise ModelbuildError(f"{option}: {value!r} is not a number {words}")
        return float(value)

    return read


_percent = _number("above 50 and up to 100", lambda value: 50 < value <= 100)
# Option of a range method -> what reads its value.
OPTIONS: dict[str, Callable[[str, Any], Any]] = {
    "bins": _bins,
    "max_clipped": _number("from 0 to 1", lambda value: 0 <= value <= 1),
    "momentum": _number("from 0 and below 1", lambda value: 0 <= value < 1),
    "outlier_factor": _number("above 0", lambda value: 0 < value < math.inf),
    "percentile": _percent,
    "percentile_16bit": _percent,
}


def _short(number: float) -> str:
    return f"{number:g}" if abs(number) < sys.float_info.max else "a number of more than 300 digits"


def _ranges(key: str, value: Any) -> Mapping[str, tuple[float, float]]:
    if not isinstance(value, Mapping):
        raise ModelbuildError(f"{key} must map tensors to [low, high], not {value!r}")
    found = {}
    for name, ends in value.items():
        numbers = isinstance(ends, Sequence) and all(isinstance(end, int | float) for end in ends)
        if not numbers or len(ends) != 2 or not ends[0] <= ends[1] or ends[0] == ends[1]:
            turned = numbers and len(ends) == 2 and ends[0] > ends[1]
            raise ModelbuildError(
                f"{key}.{name}: {ends!r} is not [low, high] with low below high",
                advice=f"write [{ends[1]:g}, {ends[0]:g}]" if turned else "write both ends, such as [-1, 1]",
            )
        if not -LARGEST <= ends[0] <= ends[1] <= LARGEST:
            raise ModelbuildError(
                f"{key}.{name}: [{_short(ends[0])}, {_short(ends[1])}] is beyond what a float32 holds",
                why=f"the tensor's values are within -{LARGEST:.4g} and {LARGEST:.4g}",
            )
        found[name] = (float(ends[0]), float(ends[1]))
    return found


def _output_function(key: str, value: Any) -> str:
    if value not in OUTPUT_FUNCTIONS:
        raise ModelbuildError(f"{key}: {value!r} is not one of {', '.join(OUTPUT_FUNCTIONS)}")
    return str(value)


def _switch(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ModelbuildError(f"{key}: {value!r} is neither true nor false")
    return value


def _equalize(key: str, value: Any) -> bool | str:
    return value if value == SMOOTH else _switch(key, value)


# Key -> what reads its value (the key's name is for messages): one for each field of Settings.
READERS: dict[str, Callable[[str, Any], Any]] = {
    "activations": _formats,
    "bias_correction": rounding_settings.read_bias_correction,
    "equalize": _equalize,
    "cpu_nodes": mixed_settings.read_format,
    "flops_ratio": mixed_settings.read_ratio,
    "inputs": mixed_settings.read_ports,
    "margin_db": mixed_settings.read_margin,
    "max_measurements": mixed_settings.read_count,
    "mode": mixed_settings.read_mode,
    "nodes": mixed_settings.read_nodes,
    "output_function": _output_function,
    "outputs": mixed_settings.read_ports,
    "per_channel": _switch,
    "range": _range,
    "rounding": rounding_settings.read_rounding,
    "ranges": _ranges,
    "split": _switch,
    "strict": _switch,
    "symmetric": _switch,
    "weights": _formats,
    "weights_range": rounding_settings.read_weights_range,
}
