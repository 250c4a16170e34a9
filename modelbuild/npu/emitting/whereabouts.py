"""Which maps lie whole in DRAM once their group is done, and which stay on the chip."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.npu.planning.forms import form
from modelbuild.npu.planning.plan import Group, Plan, Store, View


def maps_in_dram(model: FixedModel, made: Plan) -> dict[str, int]:
    """The address of every map of which all bytes are stored, or were there from the start."""
    stored: dict[str, list[tuple[int, int]]] = {}
    for name in (*model.inputs, *(name for group in made.groups for name in _stored(model, group))):
        view = made.views.get(name, View(name, 0))
        stored.setdefault(view.root, []).append((view.offset, view.offset + form(model.tensors[name]).size))
    covered = {root: _joined(parts) for root, parts in stored.items()}
    found = {}
    for name, tensor in model.tensors.items():
        view = made.views.get(name, View(name, 0))
        end = view.offset + form(tensor).size
        if any(low <= view.offset and end <= high for low, high in covered.get(view.root, ())):
            found[name] = made.dram[view.root] + view.offset
    return found


def _stored(model: FixedModel, group: Group) -> Iterator[str]:
    """What a group stores whole."""
    if not group.actions:
        for index in group.members:
            yield from model.operators[index].outputs
        return
    rows: Counter[str] = Counter()
    for action in group.actions:
        if isinstance(action, Store):
            rows[action.region.tensor] += action.region.planes * action.region.rows
    for name, count in rows.items():
        whole = form(model.tensors[name])
        if count == whole.planes * whole.rows:
            yield name


def _joined(parts: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same stretches, those that touch made one."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(parts):
        if found and low <= found[-1][1]:
            found[-1] = found[-1][0], max(high, found[-1][1])
        else:
            found.append((low, high))
    return found
