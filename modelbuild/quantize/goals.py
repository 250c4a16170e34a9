"""What `mode: auto` works towards: bounds of `accept`, and how far what was measured is from them. Imports no
numpy: the manifest reads it, too."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modelbuild.errors import ModelbuildError, did_you_mean
from modelbuild.samples.labels import BOXES, CLASSES

OF_OUTPUTS = ("snr_db", "snr_db_mean", "cosine", "max_abs")
OF_CLASSES = ("top1", "top5", "top1_drop", "top5_drop")
OF_BOXES = ("map", "map50", "map_drop", "map50_drop")
FUNCTION = "function"  # the key whose bounds stand by functions of the user's
GOALS = (*OF_OUTPUTS, *OF_CLASSES, *OF_BOXES, FUNCTION)
DROPS = ("top1_drop", "top5_drop")  # known without labels, too: the float model's own classes are right then
MARGIN_DB = 1.0  # above what is wanted, on the samples that the ranges were chosen from
_LEAST = 1e-20  # stands for no noise at all


@dataclass(frozen=True)
class Held:
    """A bound and what was measured. `missing_db`: how far the noise at the outputs has to fall until it
    holds with what is kept in hand, 0 or less where it does; None where it does not and nobody knows."""

    check: str
    bound: float
    measured: float
    missing_db: float | None

    @property
    def holds(self) -> bool:
        """Whether it does, with what is kept in hand."""
        return self.missing_db is not None and self.missing_db <= 0.0

    def to_json(self) -> dict[str, Any]:
        """One of `goals` in quantize.json."""
        return {"check": self.check, "bound": self.bound, "measured": self.measured}


def some_box(labels: Iterable[Any]) -> bool:
    """Whether any picture has a box that a model could find: without one, mean average precision is of
    nothing, and so is its drop."""
    return any(not box.get("crowd") for boxes in labels for box in boxes)


def measurable(accept: Mapping[str, Any], labels: str | None, evaluated: str | None) -> dict[str, Any]:
    """The bounds that calibration samples can tell. `labels` and `evaluated`: of what kind the labels of the
    calibration and of the evaluation samples are (`samples.labels.kind_of`); None without labels."""
    of_labels = {
        **dict.fromkeys(OF_OUTPUTS, True),
        **dict.fromkeys(OF_CLASSES, labels == CLASSES),
        **dict.fromkeys(DROPS, True),
        **dict.fromkeys(OF_BOXES, labels == BOXES),
        FUNCTION: labels == evaluated,  # a function gets what it will get where it is judged
    }
    return {key: bound for key, bound in accept.items() if of_labels.get(key) and bound != {}}


def held(accept: Mapping[str, Any], measured: Mapping[str, Any], margin_db: float = MARGIN_DB) -> list[Held]:
    """Every bound of `accept` that is one of GOALS, beside what was measured: fixed.json's `outputs`,
    `accuracy` and `functions`. Those on outputs hold with `margin_db` in hand. Raises (exit 2) where a bound
    names an output that the model lacks."""
    found: list[Held] = []
    for key, bound in sorted(accept.items()):
        if key in OF_OUTPUTS:
            found += _of_outputs(key, bound, measured["outputs"], margin_db)
        elif key == FUNCTION:
            for function, limits in sorted(bound.items()):
                values = [measured["functions"][form][function] for form in ("float", "fixed")]
                found += [_of_function(function, name, limit, *values) for name, limit in limits.items()]
        elif key in GOALS:
            share, drop = key.removesuffix("_drop"), key.endswith("_drop")
            value = measured["accuracy"]["drop" if drop else "fixed"][share]
            found.append(_unknown(key, bound, value, value <= bound if drop else value >= bound))
    return found


def _of_outputs(key: str, bounds: Any, outputs: Any, margin_db: float) -> Iterator[Held]:
    named = bounds if isinstance(bounds, Mapping) else {"": bounds}
    known = {entry["name"]: entry for entry in outputs}
    for name, bound in named.items():
        if name and name not in known:
            advice = did_you_mean(name, known) or f"it has {', '.join(known)}"
            raise ModelbuildError(f"accept.{key}: the model has no output {name!r}", advice=advice)
        for entry in [known[name]] if name else known.values():
            missing = missing_db(key, entry[key], bound) + margin_db
            yield Held(f"{key} of {entry['name']}", bound, entry[key], missing)


# Measure of an output -> how many dB the noise has to fall from `value` to `bound`. For small errors
# 1 - cosine is half of the noise's share of the power; the largest error goes with the noise's amplitude.
_NOISE: dict[str, Callable[[float, float], float]] = {
    "snr_db": lambda value, bound: bound - value,
    "snr_db_mean": lambda value, bound: bound - value,
    "cosine": lambda value, bound: 10.0 * _decades(1.0 - value, 1.0 - bound),
    "max_abs": lambda value, bound: 20.0 * _decades(value, bound),
}


def missing_db(key: str, value: float, bound: float) -> float:
    """How many dB the noise at an output has to fall until a bound of OF_OUTPUTS just holds."""
    return _NOISE[key](value, bound)


def _decades(value: float, bound: float) -> float:
    return math.log10(max(value, _LEAST)) - math.log10(max(bound, _LEAST))


def _of_function(function: str, key: str, limit: float, exact: float, fixed: float) -> Held:
    """A bound on a function of the user's: at_least, at_most, drop or rise."""
    value = {"drop": exact - fixed, "rise": fixed - exact}.get(key, fixed)
    holds = value >= limit if key == "at_least" else value <= limit
    return _unknown(f"{key} of {function}" if key in ("drop", "rise") else function, limit, value, holds)


def _unknown(check: str, bound: float, value: float, holds: bool) -> Held:
    return Held(check, bound, value, 0.0 if holds else None)
