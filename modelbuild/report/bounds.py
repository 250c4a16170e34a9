"""What is said of bounds that do not hold: the values, where the bound stands, and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelbuild.quantize.goals import FUNCTION, OF_BOXES, OF_CLASSES, OF_OUTPUTS, missing_db
from modelbuild.report.advice import Facts, Lacking, steps, text
from modelbuild.report.text import bound as of_bound
from modelbuild.report.verdict import ACCURACY_BOUNDS, Check

# What to look at where the float model breaks a bound as well: by the kind of the bound, "" for others.
_LOOK_AT = {
    **dict.fromkeys(
        OF_BOXES,
        "the postprocessing (what it returns, and boxes as x1, y1, x2, y2 in pixels of the input), the "
        "labels and the preprocessing",
    ),
    **dict.fromkeys(OF_CLASSES, "the labels (the first class is 0) and the preprocessing"),
    FUNCTION: "the function, the labels and the preprocessing",
}


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
    found = {check: float_too(check) for check in measured if _float_too(check)}
    lacking = [check for check in measured if check not in found]
    for first in {check.model: check for check in reversed(lacking)}.values():
        own = [check for check in lacking if check.model == first.model]
        found[first] = text(steps(facts[first.model], [_lacking(each, facts[first.model]) for each in own]))
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


def float_too(check: Check) -> str:
    """What to do where quantization is not the reason."""
    look = _LOOK_AT[check.path[0]]
    return (
        f"the float model itself reaches {shown(check.of_float)}, so that quantization is not the reason: "
        f"look at {look}, or write a bound that float holds"
    )


def _lacking(check: Check, facts: Facts) -> Lacking:
    """What is missing on the evaluation samples, and what `mode: auto` measured on those of calibration."""
    assert check.measured is not None
    key, bound = check.path[0], float(check.bound)
    missing = missing_db(key, float(check.measured), bound) if key in OF_OUTPUTS else None
    goals = (facts.quantize.get("auto") or {}).get("goals", ())
    seen = next((float(goal["measured"]) for goal in goals if goal["check"] == check.check), None)
    ahead = None if seen is None or key not in OF_OUTPUTS else -missing_db(key, seen, bound)
    return Lacking(check.check, float(check.measured), missing, seen, ahead)


def shown(value: float | bool | None) -> str:
    """A bound or measurement for people: four significant digits."""
    if value is None:
        return "not available"
    return str(value).lower() if isinstance(value, bool) else of_bound(value)


def facts_of(measurements: Mapping[str, Any], about: Mapping[str, Any]) -> Facts:
    """From quantize.json, fixed.json and calibration.json, where there are any, and what planning knows:
    {"removed", "has_int16", "pair"}."""
    quantize, fixed, calibration = (
        measurements.get(name) or {} for name in ("quantize", "fixed", "calibration")
    )
    blank = calibration.get("blank", 0)
    return Facts(quantize, bool(about["removed"]), bool(about["has_int16"]), fixed, about["pair"], blank)
