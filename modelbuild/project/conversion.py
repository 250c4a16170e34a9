"""What a conversion did, for people and for `convert --json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelbuild.graph.edits.tail import Split
from modelbuild.graph.guard import Difference


@dataclass(frozen=True)
class Step:
    """What one step did: nodes before and after, the passes that acted and how often, and how far its result
    is from what it was held `against` (None: it could not be, `reason` says why). With `--paranoid`, `errors`
    is how far each pass that acted is from the graph before it, as a part of the output's range."""

    name: str
    nodes_before: int
    nodes_after: int
    passes: Mapping[str, int] = field(default_factory=dict)
    difference: Difference | None = None
    against: str = ""
    by_codes: bool = False  # held against a quantized file in steps of its codes, which are no range
    reason: str = ""
    errors: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """An item of `steps` in the object of `convert --json`."""
        return {
            "name": self.name,
            "nodes_before": self.nodes_before,
            "nodes_after": self.nodes_after,
            "passes": [
                {"name": name, "changes": count, "error": self.errors.get(name)}
                for name, count in self.passes.items()
            ],
            "difference": None if self.difference is None else self.difference.to_json(),
            "against": self.against,
            "by_codes": self.by_codes,
            "reason": self.reason,
        }


@dataclass(frozen=True)
class Written:
    """A file that was written: its digest, its size in bytes with that of `data`, the model's borders."""

    path: Path
    size: int
    sha256: str
    inputs: tuple[Mapping[str, Any], ...]
    outputs: tuple[Mapping[str, Any], ...]
    data: tuple[Path, ...] = ()  # the file of its weights, where they are more than 2 GB

    def to_json(self) -> dict[str, Any]:
        """The objects `model` and `post` of `convert --json`."""
        return {
            "path": str(self.path),
            "data": [str(path) for path in self.data],
            "size": self.size,
            "sha256": self.sha256,
            "inputs": [dict(port) for port in self.inputs],
            "outputs": [dict(port) for port in self.outputs],
        }


@dataclass(frozen=True)
class ConvertResult:
    """What was read, what each step did, and what was written. `units` counts the nodes of each unit of the
    chip, where one was named; `tail` is what `tail: auto` cut off, where that was asked for; `removed` is the
    part after the chip of an earlier conversion, which this one has not."""

    source: Mapping[str, Any]
    steps: tuple[Step, ...]
    model: Written
    post: Written | None = None
    units: Mapping[str, int] | None = None
    tail: Split | None = None
    removed: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """The object of `convert --json`."""
        return {
            "ok": True,
            "source": dict(self.source),
            "steps": [step.to_json() for step in self.steps],
            "model": self.model.to_json(),
            "post": None if self.post is None else self.post.to_json(),
            "units": None if self.units is None else dict(self.units),
            "tail": None if self.tail is None else self.tail.to_json(),
            "removed": None if self.removed is None else str(self.removed),
        }
