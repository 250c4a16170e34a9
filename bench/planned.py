"""The counts of a plan: what every action of it asks of the chip's engines."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import cast

from bench.counts import Counts, Tally
from bench.zoo import outlined
from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator
from modelbuild.chips.recipe import Recipe
from modelbuild.graph.model import Graph
from modelbuild.npu.emitting.work import (
    ConvolutionTile,
    Extents,
    array_work,
    binary_cells,
    moved_bytes,
    pool_cells,
)
from modelbuild.npu.planning.forms import form, operand_form
from modelbuild.npu.planning.halo import POOLS, WEIGHTED, input_planes, reach
from modelbuild.npu.planning.plan import Compute, Group, Load, LoadConstants, Plan, Region, Store
from modelbuild.npu.planning.planner import plan
from modelbuild.npu.planning.weights import constant_size
from modelbuild.npu.program import Rates
from modelbuild.npu.rates import limits_of, rates
from modelbuild.npu.rewriting import rewritten

_OF_TWO = frozenset({"add", "multiply"})
_GATHERING = frozenset({"reduce_sum", "reduce_max", "softmax"})  # they cost the cells that they read


def counted(graph: Graph, recipe: Recipe) -> tuple[Counts, tuple[str, ...]]:
    """A network on a chip by its default plan, and the types of the nodes that the CPU runs."""
    model, cpu = outlined(graph, recipe)
    model = rewritten(model)
    hardware = recipe.hardware
    return counts_of(model, plan(model, limits_of(hardware)), rates(hardware)), cpu


def counts_of(model: FixedModel, made: Plan, chip: Rates, rules: type[Counting] | None = None) -> Counts:
    """Of a plan whose operators are those of `model`; `chip` says what the chip rounds up. What the CPU runs
    is not counted, as in the published times."""
    counting = (rules or Counting)(model, chip)
    groups = 0
    for group in made.groups:
        if all(model.operators[index].unit == "npu" for index in group.members):
            groups += 1
            counting.group(group)
    return Counts.of(counting.tally, groups)


class Counting:
    """The instructions of a plan's groups so far."""

    fuses = True

    def __init__(self, model: FixedModel, rates: Rates) -> None:
        self.model, self.rates = model, rates
        self.tally: Tally = Tally()
        self._last: Region | None = None  # what the tile before it made

    def group(self, group: Group) -> None:
        """Adds what a group does."""
        self._last = None
        for action in group.actions:
            if isinstance(action, Load):
                self._move("read", action.region)
            elif isinstance(action, Store):
                self._move("write", action.region)
            elif isinstance(action, LoadConstants):
                operator = self.model.operators[action.operator]
                self._add("weights", constant_size(self.model, operator, action.region))
            else:
                self._compute(action)
        if not group.actions:
            for index in group.members:
                self._alone(self.model.operators[index])

    def _add(self, kind: str, work: int, outputs: int = 0) -> None:
        self.tally[kind, work, outputs] += 1

    def _move(self, kind: str, region: Region) -> None:
        row = form(self.model.tensors[region.tensor]).row_bytes
        self._add(kind, moved_bytes([(region.planes * region.rows, row)], self.rates.row_alignment))

    def _compute(self, action: Compute) -> None:
        operator, region = self.model.operators[action.operator], action.region
        before, self._last = self._last, region
        if operator.fused and before == replace(region, tensor=operator.inputs[0]) and self.fuses:
            return  # in the output stage of the array
        if operator.kind in WEIGHTED:
            for tile in self._convolutions(operator, region):
                self._add(tile.kind, array_work(tile, self.rates), tile.outputs)
        elif operator.kind in POOLS:
            self._add("elements", self._pool(operator, region))
        elif operator.kind in _OF_TWO:
            self._add("elements", self._of_two(operator, region))
        else:
            self._add("elements", prod(self._extents(region)))

    def _convolutions(self, operator: FixedOperator, region: Region) -> list[ConvolutionTile]:
        """One tile for each image of the region."""
        weight = self.model.constants[operator.constants["weight"]]
        shape = self.model.tensors[operator.outputs[0]].shape
        channels = shape[1]
        groups = cast(int, operator.parameters["group"]) if operator.kind == "conv" else 1
        each = channels // groups
        images = -(-region.planes // channels)
        planes = region.planes // images
        count = max(1, planes // each)
        kernel = weight.shape[2:] if operator.kind == "conv" else (1, 1)
        tile = ConvolutionTile(
            kernel_height=kernel[0],
            kernel_width=kernel[1],
            groups=count,
            group_inputs=weight.shape[1],
            group_outputs=planes // count,
            rows=region.rows,
            columns=shape[3] if operator.kind == "conv" else 1,
        )
        return [tile] * images

    def _pool(self, operator: FixedOperator, region: Region) -> int:
        low, high = reach(self.model, operator, 0).rows(region.row, region.row + region.rows)
        inputs = self.model.tensors[operator.inputs[0]].shape[3]
        outputs = self.model.tensors[operator.outputs[0]].shape[3]
        return pool_cells(region.planes, (region.rows, outputs), (high - low, inputs))

    def _of_two(self, operator: FixedOperator, region: Region) -> int:
        output = self._extents(region)
        rank = len(self.model.tensors[region.tensor].shape)
        operands = []
        for position, name in enumerate(operator.inputs):
            seen = operand_form(self.model.tensors[name], rank)
            _, planes = input_planes(self.model, operator, position, region.plane, region.planes)
            rows = region.rows if seen.rows > 1 else 1
            operands.append((planes, rows, seen.columns))
        return binary_cells(output, *operands)

    def _extents(self, region: Region) -> Extents:
        return region.planes, region.rows, form(self.model.tensors[region.tensor]).columns

    def _alone(self, operator: FixedOperator) -> None:
        """An operator with a loop of its own: everything in, everything out."""
        tensors = self.model.tensors
        for name in operator.inputs:
            self._move("read", _whole(self.model, name))
        for name in operator.outputs:
            self._move("write", _whole(self.model, name))
        if operator.kind == "matmul":
            left, right = (tensors[name].shape for name in operator.inputs)
            outputs = prod(tensors[operator.outputs[0]].shape)
            self._add("pointwise", outputs * left[-1], outputs)
            assert left[-1] == right[-2]
        elif operator.kind in _GATHERING:
            self._add("elements", prod(tensors[operator.inputs[0]].shape))


def _whole(model: FixedModel, name: str) -> Region:
    found = form(model.tensors[name])
    return Region(name, 0, found.planes, 0, found.rows)
