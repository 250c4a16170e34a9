"""What is said of bounds that do not hold: the values, where the bound stands, and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelbuild.quantize.goals import OF_OUTPUTS, missing_db
from modelbuild.report.advice import Facts, steps, text
from modelbuild.report.verdict import ACCURACY_BOUNDS, Check

FLOAT_TOO = (
    "the float model is no better, so that quantization is not the reason: look at the postprocessing (what "
    "it returns, and boxes as x1, y1, x2, y2 in pixels of the input), the labels and the preprocessing"
)


def said(check: Check) -> str:
    """One line: `map50 is 0.21 (float: 0.48), the bound is at least 0.3`."""
    of_float = "" if check.of_float is None else f" (float: {shown(check.of_float)})"
    note = f"; {check.note}" if check.note else ""
    bound = f"{check.limit} {shown(check.bound)}".strip()
    return f"{check.check} is {shown(check.measured)}{of_float}, the bound is {bound}{note}"


def advice(failed: Sequence[Check], facts: Mapping[str, Facts]) -> dict[Check, str]:
    """What to do about bounds on accuracy, the likeliest cause first: once a model, at its first that does
    not hold. `facts` are by model. Where the float model breaks the bound too, that is said of it."""
    measured = [check for check in failed if check.measured is not None and _of_accuracy(check)]
    found = {check: FLOAT_TOO for check in measured if _float_too(check)}
    lacking = [check for check in measured if check not in found]
    for first in {check.model: check for check in reversed(lacking)}.values():
        own = [check for check in lacking if check.model == first.model]
        found[first] = text(steps(facts[first.model], _missing(own)))
    return found


def _of_accuracy(check: Check) -> bool:
    return bool(check.path) and check.path[0] in ACCURACY_BOUNDS


def _float_too(check: Check) -> bool:
    """Whether the bound is on the value itself, and the float model does not hold it either."""
    relative = check.path[0].endswith("_drop") or check.path[-1] in ("drop", "rise")
    if check.of_float is None or relative:
        return False
    bound = float(check.bound)
    return check.of_float > bound if check.limit == "at most" else check.of_float < bound


def _missing(checks: Sequence[Check]) -> float | None:
    """dB that the worst output lacks; None where all bounds are on shares and functions."""
    found = [
        missing_db(check.path[0], float(check.measured), float(check.bound))
        for check in checks
        if check.path[0] in OF_OUTPUTS and check.measured is not None
    ]
    return max(found, default=None)


def shown(value: float | bool | None) -> str:
    """A bound or measurement for people: four significant digits."""
    if value is None:
        return "not available"
    return str(value).lower() if isinstance(value, bool) else f"{value:.4g}"


def facts_of(quantize: Mapping[str, Any] | None, about: Mapping[str, Any]) -> Facts:
    """From quantize.json, where there is one, and what planning knows: {"removed", "has_int16"}."""
    return Facts(quantize or {}, bool(about["removed"]), bool(about["has_int16"]))
