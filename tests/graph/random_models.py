"""Small random ONNX models of any operator set from 7 on, as exporters might write them."""

from __future__ import annotations

from random import Random

import onnx
from onnx import TensorProto, helper

from tests.graph import random_rare_steps, random_shape_steps, random_steps
from tests.graph.random_writer import Writer

OPSETS = (7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26)
_MOST_VALUES = 20_000


def random_model(dice: Random) -> onnx.ModelProto:
    """One to ten steps at a random operator set, with branches, and sometimes oddly written."""
    writer = Writer(dice, dice.choice(OPSETS))
    tables = (random_steps.STEPS, random_steps.STEPS, random_rare_steps.STEPS, random_shape_steps.STEPS)
    for _ in range(dice.randint(1, 10)):
        size = 1
        for dim in writer.shape:
            size *= dim
        if not writer.shape or not 0 < size < _MOST_VALUES:
            break
        dice.choice(dice.choice(tables))(writer)
        if dice.random() < 0.15:
            _another_branch(writer)
    if writer.x == "input":
        writer.step("Relu", "input")
    model = writer.model()
    if dice.random() < 0.2:
        _odd(model, dice)
    return model


def _another_branch(w: Writer) -> None:
    """Goes on from an earlier tensor; the one that is left becomes an output or is read by nothing."""
    if w.history:
        w.ends.insert(0, (w.x, list(w.shape)))
        w.x, shape = w.dice.choice(w.history)
        w.shape = list(shape)


def _odd(model: onnx.ModelProto, dice: Random) -> None:
    """Nodes out of order, names that are the same, nodes that nothing reads, lies about shapes."""
    graph = model.graph
    match dice.randrange(4):
        case 0:
            nodes = list(graph.node)
            dice.shuffle(nodes)
            del graph.node[:]
            graph.node.extend(nodes)
        case 1:
            for node in graph.node:
                node.name = "same"
        case 2:
            graph.node.append(helper.make_node("Neg", ["input"], ["read_by_nothing"]))
        case _:
            made = graph.node[0].output[0]
            if made not in {value.name for value in graph.output}:
                graph.value_info.append(helper.make_tensor_value_info(made, TensorProto.FLOAT, [3, 1, 7]))
