"""Hold measurements against the bounds of `accept:`. Pure: measuring is the verify stages' work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from modelbuild.report.widths import caveat

Measurements = Mapping[str, Any]  # stage file's stem ("fixed", "hardware", "check", "evaluate") -> its JSON
Found = Iterator[tuple[str, float | None]]  # (what, measured; None where it is not available)
Holds = Callable[[float, float], bool]
# (what, bound, measured, how they are compared, where the bound stands below `accept`, float's own value)
Judged = Iterator[tuple[str, float, float | None, Holds, tuple[str, ...], float | None]]


@dataclass(frozen=True)
class Check:
    """One bound and what was measured. `measured` is None where nothing could be: that never passes.

    `limit`: "at least" or "at most", "" of the match of hardware. `path`: where the bound stands below
    `accept`. `of_float`: what the float model reaches, where that is known. `note`: what the measurement does
    not tell."""

    model: str
    check: str
    bound: float | bool
    measured: float | bool | None
    passed: bool
    limit: str = ""
    path: tuple[str, ...] = ()
    of_float: float | None = None
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """The object in gate.json and report.json."""
        return asdict(self)


def _output_metric(key: str) -> Callable[[Measurements, str | None], Found]:
    def found(measurements: Measurements, output: str | None) -> Found:
        outputs = (measurements.get("fixed") or {}).get("outputs") or []
        chosen = [entry for entry in outputs if output is None or entry["name"] == output]
        for entry in chosen:
            yield f"{key} of {entry['name']}", entry.get(key)
        if not chosen:
            yield f"{key} of {output}" if output else key, None

    return found


def _accuracy(key: str, *, drop: bool = False) -> Callable[[Measurements, str | None], Found]:
    """Of the fixed model and, where the simulator ran all samples, of the packaged bytes."""

    def found(measurements: Measurements, output: str | None) -> Found:
        accuracy = (measurements.get("fixed") or {}).get("accuracy") or {}
        name = f"{key}_drop" if drop else key
        yield name, (accuracy.get("drop" if drop else "fixed") or {}).get(key)
        hardware = ((measurements.get("hardware") or {}).get("accuracy") or {}).get(key)
        if hardware is not None:
            exact = (accuracy.get("float") or {}).get(key)
            less = None if exact is None else exact - hardware
            yield f"{name} in hardware", less if drop else hardware

    return found


def _functions(bounds: Mapping[str, Mapping[str, float]], measurements: Measurements) -> Judged:
    """Every bound on every function of the user's."""
    exact, fixed = (
        ((measurements.get("fixed") or {}).get("functions") or {}).get(form) or {}
        for form in ("float", "fixed")
    )
    hardware = (measurements.get("hardware") or {}).get("functions") or {}
    for function, limits in sorted(bounds.items()):
        for key, limit in sorted(limits.items()):
            value, holds = _OF_FUNCTIONS[key]
            path, of_float = (FUNCTION, function, key), exact.get(function)
            what = f"{key} of {function}" if key in ("drop", "rise") else function
            yield what, limit, value(of_float, fixed.get(function)), holds, path, of_float
            if function in hardware:
                found = value(of_float, hardware[function])
                yield f"{what} in hardware", limit, found, holds, path, of_float


def _cpu_nodes(measurements: Measurements, output: str | None) -> Found:
    units = (measurements.get("check") or {}).get("units")
    yield "cpu_nodes", None if units is None else sum(unit == "cpu" for unit in units.values())


def _fps(measurements: Measurements, output: str | None) -> Found:
    yield "fps", (measurements.get("evaluate") or {}).get("fps")


def _at_least(measured: float, bound: float) -> bool:
    return measured >= bound


def _at_most(measured: float, bound: float) -> bool:
    return measured <= bound


def _less(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


FPS = "fps"
_SHARES = ("top1", "top5", "map", "map50")
# key of `accept:` -> (what finds the measurement, how it is held against the bound)
BOUNDS: dict[str, tuple[Callable[[Measurements, str | None], Found], Holds]] = {
    "snr_db": (_output_metric("snr_db"), _at_least),
    "snr_db_mean": (_output_metric("snr_db_mean"), _at_least),
    "cosine": (_output_metric("cosine"), _at_least),
    "max_abs": (_output_metric("max_abs"), _at_most),
    **{key: (_accuracy(key), _at_least) for key in _SHARES},
    **{f"{key}_drop": (_accuracy(key, drop=True), _at_most) for key in _SHARES},
    "cpu_nodes": (_cpu_nodes, _at_most),
    FPS: (_fps, _at_least),
}
_WORDS: dict[Holds, str] = {_at_least: "at least", _at_most: "at most"}
FUNCTION = "function"  # whose bounds stand by the function
# key of such a bound -> (what is judged of the values of float and of the form, how it is held against it)
_OF_FUNCTIONS: dict[str, tuple[Callable[[float | None, float | None], float | None], Holds]] = {
    "at_least": (lambda exact, found: found, _at_least),
    "at_most": (lambda exact, found: found, _at_most),
    "drop": (_less, _at_most),
    "rise": (lambda exact, found: _less(found, exact), _at_most),
}


ACCURACY_BOUNDS = frozenset({*BOUNDS, FUNCTION}) - {"cpu_nodes", FPS}


def judge(model: str, accept: Mapping[str, Any], measurements: Measurements) -> list[Check]:
    """Every bound of `accept`, one check an output where the bound is on outputs, and the bit-for-bit match.

    The match of hardware and fixed is always checked where it was measured; it takes no bound."""
    checks: list[Check] = []
    for what, limit, measured, holds, path, of_float in _judged(accept, measurements):
        passed = measured is not None and holds(measured, limit)
        quantize, evaluated = (measurements.get(role) or {} for role in ("quantize", "evaluate"))
        note = _of_speed(quantize, evaluated) if path[0] == FPS else ""
        checks.append(Check(model, what, limit, measured, passed, _WORDS[holds], path, of_float, note))
    hardware = measurements.get("hardware")
    if hardware is None or hardware["equal"] is not None:
        equal = None if hardware is None else bool(hardware["equal"])
        checks.append(Check(model, "hardware equals fixed", True, equal, equal is True))
    return checks


def _of_speed(quantize: Mapping[str, Any], evaluated: Mapping[str, Any]) -> str:
    """What frames a second do not tell: number formats, and that an inference is several pictures."""
    pictures = evaluated.get("pictures_per_inference", 1)
    rate = evaluated.get("pictures_per_second")
    several = (
        "" if pictures == 1 or rate is None else f"an inference is {pictures} pictures, {rate:.4g} a second"
    )
    return "; ".join(filter(None, (caveat(quantize, evaluated), several)))


def _judged(accept: Mapping[str, Any], measurements: Measurements) -> Judged:
    for key, bound in sorted(accept.items()):
        if key == FUNCTION:
            yield from _functions(bound, measurements)
            continue
        find, holds = BOUNDS[key]
        wanted = sorted(bound.items()) if isinstance(bound, Mapping) else [(None, bound)]
        for output, limit in wanted:
            path = (key,) if output is None else (key, output)
            exact = ((measurements.get("fixed") or {}).get("accuracy") or {}).get("float") or {}
            for what, measured in find(measurements, output):
                yield what, limit, measured, holds, path, exact.get(key.removesuffix("_drop"))
