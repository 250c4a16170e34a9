"""Hold measurements against the bounds of `accept:`. Pure: measuring is the verify stages' work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

Measurements = Mapping[str, Any]  # stage file's stem ("fixed", "hardware", "check", "evaluate") -> its JSON
Found = Iterator[tuple[str, float | None]]  # (what, measured; None where it is not available)


@dataclass(frozen=True)
class Check:
    """One bound and what was measured. `measured` is None where nothing could be: that never passes."""

    model: str
    check: str
    bound: float | bool
    measured: float | bool | None
    passed: bool

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


def _accuracy(section: str, key: str) -> Callable[[Measurements, str | None], Found]:
    def found(measurements: Measurements, output: str | None) -> Found:
        accuracy = (measurements.get("fixed") or {}).get("accuracy") or {}
        name = f"{key}_drop" if section == "drop" else key
        yield name, (accuracy.get(section) or {}).get(key)

    return found


def _cpu_nodes(measurements: Measurements, output: str | None) -> Found:
    units = (measurements.get("check") or {}).get("units")
    yield "cpu_nodes", None if units is None else sum(unit == "cpu" for unit in units.values())


def _fps(measurements: Measurements, output: str | None) -> Found:
    yield "fps", (measurements.get("evaluate") or {}).get("fps")


def _at_least(measured: float, bound: float) -> bool:
    return measured >= bound


def _at_most(measured: float, bound: float) -> bool:
    return measured <= bound


# key of `accept:` -> (what finds the measurement, how it is held against the bound)
BOUNDS: dict[str, tuple[Callable[[Measurements, str | None], Found], Callable[[float, float], bool]]] = {
    "snr_db": (_output_metric("snr_db"), _at_least),
    "snr_db_mean": (_output_metric("snr_db_mean"), _at_least),
    "cosine": (_output_metric("cosine"), _at_least),
    "max_abs": (_output_metric("max_abs"), _at_most),
    "top1": (_accuracy("fixed", "top1"), _at_least),
    "top5": (_accuracy("fixed", "top5"), _at_least),
    "top1_drop": (_accuracy("drop", "top1"), _at_most),
    "top5_drop": (_accuracy("drop", "top5"), _at_most),
    "cpu_nodes": (_cpu_nodes, _at_most),
    "fps": (_fps, _at_least),
}


ACCURACY_BOUNDS = frozenset(BOUNDS) - {"cpu_nodes", "fps"}


def judge(model: str, accept: Mapping[str, Any], measurements: Measurements) -> list[Check]:
    """Every bound of `accept`, one check an output where the bound is on outputs, and the bit-for-bit match.

    The match of hardware and fixed is always checked where it was measured; it takes no bound."""
    checks: list[Check] = []
    for key, bound in sorted(accept.items()):
        find, holds = BOUNDS[key]
        wanted = sorted(bound.items()) if isinstance(bound, Mapping) else [(None, bound)]
        for output, limit in wanted:
            for what, measured in find(measurements, output):
                passed = measured is not None and holds(measured, limit)
                checks.append(Check(model, what, limit, measured, passed))
    hardware = measurements.get("hardware")
    if hardware is None or hardware["equal"] is not None:
        equal = None if hardware is None else bool(hardware["equal"])
        checks.append(Check(model, "hardware equals fixed", True, equal, equal is True))
    return checks
