"""A conversion as text: what was read, what each step did, what was written."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from modelbuild.cli import console

if TYPE_CHECKING:
    from modelbuild.graph.edits.tail import Split
    from modelbuild.project.conversion import ConvertResult, Step, Written


def text(name: str, found: ConvertResult, *, paranoid: bool) -> str:
    """What `convert` prints of the file that the user called `name`."""
    source = found.source
    producer = f", {source['producer']}" if source["producer"] else ""
    lines = [f"{name}: {source['format']}{producer}"]
    lines += [line for step in found.steps for line in _step(step, paranoid)]
    if found.tail is not None:
        lines += _tail(found.tail)
    lines += [f"import: {note}" for note in source["notes"]]
    if found.units is not None:
        lines.append("nodes on " + ", ".join(f"{unit}: {count}" for unit, count in found.units.items()))
    for written in (found.model, found.post):
        lines += [] if written is None else _written(written)
    if found.removed is not None:
        lines.append(
            f"removed {found.removed}: it ran after the chip in an earlier conversion, not in this one"
        )
    return "\n".join(lines)


def _step(step: Step, paranoid: bool) -> list[str]:
    head = f"{step.name}: {step.nodes_before} -> {step.nodes_after} nodes{_measured(step)}"
    acted = ", ".join(f"{name} {count}{_error(step, name)}" for name, count in step.passes.items())
    lines = [head, *textwrap.wrap(acted, 100, initial_indent="  ", subsequent_indent="  ")]
    if paranoid and step.errors:
        worst = max(step.errors, key=lambda name: step.errors[name])
        lines.append(
            f"  each of these was held against the graph before it: {worst} differs most, "
            f"by {step.errors[worst]:.2g} of the range"
        )
    elif paranoid and step.name in _OF_PASSES:
        lines.append("  no pass changed anything that could be held against the graph before it")
    return lines


_OF_PASSES = ("normalise", "lower")


def _error(step: Step, name: str) -> str:
    return f" ({step.errors[name]:.2g})" if name in step.errors else ""


def _measured(step: Step) -> str:
    if step.difference is not None:
        return f", differs by {step.difference.worst.error:.2g} of the range from {step.against}"
    if step.by_codes:
        return f", within the steps of {step.against}'s quantization"
    against = f" against {step.against}" if step.against else ""
    return f", not measured{against}: {step.reason}"


def _tail(tail: Split) -> Iterator[str]:
    """What was cut off and why, a line for each reason."""
    if not tail.removed:
        yield "  the NPU runs every node: nothing was cut off"
        return
    count = len(tail.removed)
    yield f"  {count} node{'s run' if count > 1 else ' runs'} after the chip; the NPU does not run"
    reasons: dict[tuple[str, str], list[str]] = {}
    for node in tail.causes:
        reasons.setdefault((node.op, node.reason.replace(f"{node.op} `{node.name}`: ", "")), []).append(
            node.name
        )
    for (op, reason), names in reasons.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        yield f"    {op} `{names[0]}`{more}: {reason}"
    if tail.is_early:
        warning = console.paint("warning:", "yellow")
        yield (
            f"  {warning} {tail.computing_removed} of {tail.computing} nodes that compute are among those "
            f"after the chip: replace `{tail.causes[0].name}`, or take another chip"
        )


def _written(written: Written) -> Iterator[str]:
    yield f"wrote {written.path}, {written.size} bytes"
    yield from (f"wrote {path}: its weights, to be kept beside it" for path in written.data)
    yield from (f"  input {_port(port)}" for port in written.inputs)
    yield from (f"  output {_port(port)}" for port in written.outputs)


def _port(port: Mapping[str, Any]) -> str:
    return f"{port['name']} {port['shape']} {port['dtype']}"
