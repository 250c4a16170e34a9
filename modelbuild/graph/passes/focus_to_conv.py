"""Concat over the channels of strided Slices of one picture -> a Conv whose weights are 0 and 1.

Why: the "focus" stem of detectors takes every second row and column, which no Slice of a chip with step 1
does; a Conv with that stride does, and the model stays on the NPU from its first node on.
Legal: every Slice takes rows and columns at the same step, which divides height and width, from a start below
the step to the end. Each output is one input times 1 plus zeros: exact for finite numbers.
"""

from __future__ import annotations

import numpy as np

from modelbuild.graph.model import Attribute, Graph, Node
from modelbuild.graph.rewrite import Editor

_Phase = tuple[str, tuple[int, int], tuple[int, int]]  # picture, first row and column, steps


def run(graph: Graph) -> int:
    """Number of Concats replaced."""
    editor = Editor(graph)
    for node in editor.nodes("Concat"):
        if editor.rank(node.outputs[0]) != 4 or node.int("axis", 0) not in (1, -3):
            continue
        phases = [_phase(editor, name) for name in node.inputs]
        found = [phase for phase in phases if phase is not None]
        alike = len(found) == len(phases) and len({(phase[0], phase[2]) for phase in found}) == 1
        if alike and _covers(editor, node, found):
            _replace(editor, node, found)
            editor.changes += 1
    return editor.close()


def _phase(editor: Editor, tensor: str) -> _Phase | None:
    """What the Slices that end in `tensor` take of which picture; None where they are no such Slices."""
    starts, steps = [0, 0], [1, 1]
    while (node := editor.producer(tensor, "Slice")) is not None:
        constants = [editor.constant(node, index) for index in range(1, 5)]
        known = [[int(item) for item in value] for value in constants if value is not None]
        if len(known) != 4:
            return None
        for start, axis, step in zip(known[0], known[2], known[3], strict=True):
            if axis not in (2, 3) or step < 1 or start < 0:
                return None
            # this Slice comes before those seen already, whose starts count in its steps
            starts[axis - 2] = start + step * starts[axis - 2]
            steps[axis - 2] *= step
        tensor = node.inputs[0]
    if steps == [1, 1] or editor.graph.dtypes[tensor] != np.dtype(np.float32):
        return None
    return tensor, (starts[0], starts[1]), (steps[0], steps[1])


def _covers(editor: Editor, node: Node, phases: list[_Phase]) -> bool:
    """Whether the Slices begin below the step and go to the end of the picture."""
    picture, _, steps = phases[0]
    sizes, given = editor.shape(node.outputs[0])[2:], editor.shape(picture)[2:]
    whole = all(size * step == before for size, step, before in zip(sizes, steps, given, strict=True))
    return whole and all(
        start < step for phase in phases for start, step in zip(phase[1], steps, strict=True)
    )


def _replace(editor: Editor, node: Node, phases: list[_Phase]) -> None:
    picture, _, steps = phases[0]
    channels = editor.shape(picture)[1]
    weight = np.zeros((len(phases) * channels, channels, *steps), np.float32)
    for index, (_, (row, column), _) in enumerate(phases):
        for channel in range(channels):
            weight[index * channels + channel, channel, row, column] = 1
    name = editor.add_constant(f"{node.name}_weight", weight)
    attributes: dict[str, Attribute] = {
        "kernel_shape": list(steps),
        "strides": list(steps),
        "pads": [0, 0, 0, 0],
        "dilations": [1, 1],
        "group": 1,
    }
    editor.replace(node, "Conv", [picture, name], attributes)
