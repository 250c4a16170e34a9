"""What a sweep found: a row a combination of settings, which rows nothing beats, and how to adopt one."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import yaml

from modelbuild.errors import EXIT_FAILED, ModelbuildError
from modelbuild.manifest.merge import Tree, layer, merge, values
from modelbuild.manifest.overrides import Override
from modelbuild.project.comparing import Evaluation
from modelbuild.project.measuring import Measured


@dataclass(frozen=True)
class Variant:
    """A combination of settings, key -> value as typed; number 0 is the manifest's own. `front`: no other is
    at least as good in SNR, size and time, and better in one."""

    number: int
    settings: Mapping[str, str]
    overrides: tuple[Override, ...]
    current: bool = False
    front: bool = False
    measured: Measured | None = None
    error: ModelbuildError | None = None

    @property
    def label(self) -> str:
        """What tells its actions from those of other combinations."""
        return f"~{self.number}" if self.number else ""

    @property
    def set_options(self) -> tuple[str, ...]:
        """`KEY=VALUE` for `--set`."""
        return tuple(override.text for override in self.overrides)

    def to_json(self, model: str, target: str) -> dict[str, Any]:
        """The object in `rows` of `sweep --json`; what was not measured is null."""
        found = self.measured
        return {
            "row": self.number,
            "settings": dict(self.settings) if self.overrides else {},
            "set": list(self.set_options),
            "yaml": adopted(self, model, target),
            "current": self.current,
            "front": self.front,
            "snr_db": found and found.worst_snr_db,
            "size": found and found.size,
            "time_ms": found and found.time_ms,
            "evaluated_ms": found and found.evaluated_ms,
            "cycles": found and found.cycles,
            "top1": found and found.top1,
            "cpu_nodes": found and found.cpu_nodes,
            "gate": found and ("failed" if found.broken_bounds else "passed"),
            "broken_bounds": list(found.broken_bounds) if found else None,
            "error": str(self.error) if self.error else None,
        }


@dataclass(frozen=True)
class SweepReport:
    """The rows in the order in which the combinations were made, the manifest's own settings first.
    `evaluation`: what all were measured on, where their own settings would differ in that."""

    model: str
    target: str
    keys: tuple[str, ...]
    rows: tuple[Variant, ...]
    evaluation: Evaluation | None = None

    @property
    def exit_code(self) -> int:
        """0, or where a row could not be built what the worst of them says."""
        codes = [row.error.exit_code for row in self.rows if row.error]
        return EXIT_FAILED if EXIT_FAILED in codes else max(codes, default=0)

    def ranked(self, by: str) -> tuple[Variant, ...]:
        """The best first by `snr`, `size` or `time`; then what was not measured."""
        order = ORDERS[by]
        return tuple(sorted(self.rows, key=lambda row: (row.measured is None, *order(row.measured))))

    def to_json(self, by: str) -> dict[str, Any]:
        """The object of `sweep --json`."""
        return {
            "ok": self.exit_code == 0,
            "model": self.model,
            "target": self.target,
            "keys": list(self.keys),
            "sort": by,
            "evaluation": asdict(self.evaluation) if self.evaluation else None,
            "rows": [row.to_json(self.model, self.target) for row in self.ranked(by)],
        }


def _snr(found: Measured) -> float:
    return float("inf") if found.worst_snr_db is None else -found.worst_snr_db


def _order(*parts: Callable[[Measured], float]) -> Callable[[Measured | None], tuple[float, ...]]:
    return lambda found: tuple(part(found) for part in parts) if found else ()


def _size(found: Measured) -> float:
    return found.size


def _time(found: Measured) -> float:
    return float("inf") if found.time_ms is None else found.time_ms


# what to sort by -> the smaller, the better; the others decide between equals
ORDERS: Mapping[str, Callable[[Measured | None], tuple[float, ...]]] = {
    "snr": _order(_snr, _time, _size),
    "size": _order(_size, _snr, _time),
    "time": _order(_time, _snr, _size),
}


def marked(rows: Sequence[Variant]) -> tuple[Variant, ...]:
    """The rows with the Pareto front marked."""
    points = [ORDERS["snr"](row.measured) for row in rows]

    def beaten(point: tuple[float, ...]) -> bool:
        return any(
            other != point and all(a <= b for a, b in zip(other, point, strict=True))
            for other in points
            if other
        )

    return tuple(
        replace(row, front=bool(point) and not beaten(point)) for row, point in zip(rows, points, strict=True)
    )


def adopted(row: Variant, model: str, target: str) -> str:
    """The lines of models.yaml that make the row's settings the model's own on the target."""
    merged: Tree = {}
    for override in row.overrides:
        merged = merge(merged, layer(override.values, lambda path: ""))
    tree = {"models": {model: {"targets": {target: _shortened(values(merged))}}}}
    text: str = (
        yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, default_flow_style=None)
        if row.overrides
        else ""
    )
    return text


def _shortened(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The same settings as people write them: a set by its name alone, a list of one as that one."""
    short = dict(settings)
    for key in ("calibration", "evaluation"):
        choice = short.get(key)
        if isinstance(choice, Mapping) and "set" in choice and choice.get("count", 0) is None:
            short[key] = choice["set"]
    if isinstance(short.get("quantize"), Mapping):
        short["quantize"] = {
            key: value[0] if key in ("activations", "weights") and value and len(value) == 1 else value
            for key, value in short["quantize"].items()
        }
    return short


def command(row: Variant) -> str:
    """The options that try the row's settings in a build."""
    return " ".join(f"--set {shlex.quote(text)}" for text in row.set_options)
