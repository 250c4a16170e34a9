"""What a prediction assumes in place of a recipe's facts and of the chip's usual number formats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from modelbuild.chips.recipe import Fact, NumberFormat, PositiveFact, Recipe
from modelbuild.errors import ModelbuildError
from modelbuild.npu.choices import MOST_BATCH, TILINGS
from modelbuild.quantize.number_format import FLOAT, formats_of
from modelbuild.quantize.settings import Settings


@dataclass(frozen=True)
class Options:
    """None is the recipe's own, or the model's. The clock in Hz, bandwidths in bytes per second; `batch`
    pictures a run; `activations` and `weights` are number formats (int8, int16, int4) as `quantize` takes
    them, or lists of them. `weight_compress` changes no count: it is told that it does not. `ports`: inputs |
    outputs -> name, or `*` for the others -> format, where these are not those of activations."""

    clock_hz: float | None = None
    dram_read_bytes_per_second: float | None = None
    dram_write_bytes_per_second: float | None = None
    weight_bytes_per_second: float | None = None
    batch: int | None = None
    tiling: str = "default"
    dedicated_output_buffer: bool = True
    weight_compress: bool | None = None
    activations: str | Sequence[str] | None = None
    weights: str | Sequence[str] | None = None
    sram_bytes: int | None = None
    ports: Mapping[str, Mapping[str, str]] | None = None

    @property
    def settings(self) -> Settings:
        """The number formats, as `quantize` is told them; floats are the chip's usual, which count as
        `_whole` says."""
        return Settings.read({"activations": _counted(self.activations), "weights": _counted(self.weights)})

    @property
    def told(self) -> dict[str, float]:
        """The facts of the hardware that are assumed."""
        return {name: value for name in REPLACEABLE if (value := getattr(self, name)) is not None}


REPLACEABLE = (
    "clock_hz",
    "dram_read_bytes_per_second",
    "dram_write_bytes_per_second",
    "weight_bytes_per_second",
    "sram_bytes",
)


def replaced(recipe: Recipe, base: Options, told: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Option -> its `value`, and what it is `instead_of`, of the options that say something else than `base`
    and the recipe, and of the rates that follow another clock; instead of None: what the model has."""
    stood = _stood(recipe, base)
    followed = {name: fact.value for name, fact in _scaled(recipe, told).items()}
    stood |= {name: getattr(recipe.hardware, name).value for name in followed}
    return {
        name: {"value": value, "instead_of": stood[name]}
        for name, value in {**told, **followed}.items()
        if value != stood[name]
    }


def _stood(recipe: Recipe, base: Options) -> dict[str, Any]:
    facts = {name: getattr(recipe.hardware, name).value for name in REPLACEABLE}
    formats = formats_of(_whole(recipe.number_format), base.settings)
    usual = {"activations": formats.activation.name, "weights": f"int{formats.weight_bits}"}
    return {**vars(base), **facts, **base.told, **usual}


def assumed(recipe: Recipe, options: Options) -> Recipe:
    """The recipe with what the options tell; with a clock, the rates that follow it. Raises (exit 2) on
    numbers that are not above 0."""
    _check(options)
    facts: dict[str, Fact] = _scaled(recipe, options.told)
    facts |= {
        name: PositiveFact(value=float(value), source=f"the option {name}", sure="vendor")
        for name, value in options.told.items()
    }
    number_format = _whole(recipe.number_format)
    hardware = recipe.hardware.model_copy(update=facts)
    return recipe.model_copy(update={"hardware": hardware, "number_format": number_format})


def _scaled(recipe: Recipe, told: Mapping[str, Any]) -> dict[str, Fact]:
    """The facts that follow another clock, at it: those of them that are not told themselves."""
    clock = told.get("clock_hz")
    if clock is None:
        return {}
    share = clock / recipe.hardware.clock_hz.value
    facts: dict[str, Fact] = {name: getattr(recipe.hardware, name) for name in recipe.clock_scales}
    return {
        name: fact.model_copy(update={"value": fact.value * share})
        for name, fact in facts.items()
        if told.get(name) is None
    }


def _counted(wanted: str | Sequence[str] | None) -> str | Sequence[str] | None:
    """What is wanted without floats; None where nothing else is."""
    names = [wanted] if isinstance(wanted, str) else wanted or ()
    kept = [name for name in names if FLOAT not in name]
    return wanted if len(kept) == len(names) else kept or None


def _whole(number_format: NumberFormat) -> NumberFormat:
    """Without floats, which no fixed-point model has; where there are no others they count as 16 bits."""
    kept = {
        key: tuple(name for name in getattr(number_format, key) if FLOAT not in name) or ("int16",)
        for key in ("activations", "weights")
    }
    return number_format.model_copy(update=kept)


def check_formats(recipe: Recipe, told: Mapping[str, Any]) -> None:
    """Raises (exit 2) for `activations` and `weights` of one format that a prediction cannot assume."""
    whole = _whole(recipe.number_format)
    for key in ("activations", "weights"):
        name, can = told.get(key), getattr(whole, key)
        if not isinstance(name, str) or name in can:
            continue
        has = getattr(recipe.number_format, key)
        raise ModelbuildError(
            f"{name} is not available on {recipe.chip} for {key} of a prediction",
            why="predictions count fixed-point numbers" if name in has else f"the chip has {', '.join(has)}",
            advice=f"evaluate can assume {', '.join(can)} there",
        )


def _check(options: Options) -> None:
    batch = 1 if options.batch is None else options.batch
    for name, value in (*options.told.items(), ("batch", batch)):
        if not (isfinite(value) and value > 0):
            raise ModelbuildError(f"the option `{name}` must be greater than 0, not {value}")
    if batch > MOST_BATCH:
        raise ModelbuildError(f"the option `batch` must be at most {MOST_BATCH}, not {batch}")
    if options.tiling not in TILINGS:
        raise ModelbuildError(
            f"{options.tiling!r} is not a tiling", advice=f"there are {' and '.join(TILINGS)}"
        )
