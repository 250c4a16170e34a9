"""Conditions of operator rules on the nodes around a node: what is before it, and who reads it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelbuild.chips.units import ON_NPU
from modelbuild.graph.model import Node
from modelbuild.graph.subject import Subject, Undetermined

OF_PORTS = ("DequantizeLinear", "QuantizeLinear")  # they run where the data go in and out, and are no work


_FEW = 4  # operators that are named


def _any_of(operators: Sequence[str]) -> str:
    """Them, of a long list the first and how many more."""
    if len(operators) <= _FEW:
        return " or ".join(operators)
    return f"{', '.join(operators[: _FEW - 1])} or one of {len(operators) - _FEW + 1} more operators"


def chain_start(subject: Subject) -> Subject:
    """The convolution that a chain of fused nodes in front of the node begins with."""
    producer = _maker(subject, subject.node)
    while producer is not None and subject.units.get(producer.name) == "fused":
        producer = _maker(subject, producer)
    if producer is None:
        raise Undetermined("nothing is computed before it")
    return subject.at(producer)


def _maker(subject: Subject, node: Node) -> Node | None:
    """What makes the first input that is computed."""
    return next((subject.producers[name] for name in node.inputs if name in subject.producers), None)


def is_behind_npu(subject: Subject) -> bool:
    """Whether any of the nodes that the node's inputs are made of runs on the NPU, and is no conversion of a
    port's numbers."""
    waiting, seen = list(subject.node.inputs), set[str]()
    while waiting:
        producer = subject.producers.get(waiting.pop())
        if producer is None or producer.name in seen:
            continue
        if subject.units.get(producer.name) in ON_NPU and producer.op not in OF_PORTS:
            return True
        seen.add(producer.name)
        waiting += producer.inputs
    return False


def reads_npu_maps(subject: Subject) -> bool:
    """Whether the NPU makes all that the node reads, or what a Concat joins to it."""
    waiting = list(subject.node.inputs)
    while waiting:
        producer = subject.producers.get(waiting.pop())
        if producer is None or producer.op in OF_PORTS:
            return False
        if subject.units.get(producer.name) in ON_NPU:
            continue
        if producer.op != "Concat":
            return False
        waiting += producer.inputs
    return True


def before(subject: Subject, operators: Any) -> str | None:
    """What is wrong where others than `operators` read the output."""
    output = subject.node.outputs[0]
    readers = {reader.op for reader in subject.consumers.get(output, ())}
    leaves = output in subject.graph.outputs
    if readers and readers <= set(operators) and not leaves:
        return None
    named = " or ".join(operators)
    others = sorted(readers - set(operators))
    if others:
        return f"its output is read by {', '.join(others)}, where only {named} may"
    return f"its output is one of the model, where only {named} may read it"


def after(subject: Subject, operators: Any) -> str | None:
    """What is wrong where the node does not alone follow one of `operators` on the NPU."""
    source = subject.node.inputs[0]
    producer = subject.producers.get(source)
    if producer is None or producer.op not in operators:
        return f"does not follow {_any_of(operators)}"
    if len(subject.consumers.get(source, ())) > 1 or source in subject.graph.outputs:
        return f"`{source}` has other readers"
    on_npu = subject.units.get(producer.name) in ON_NPU
    return None if on_npu else f"`{producer.name}` is not on the NPU"


def chained(subject: Subject, operators: Any) -> str | None:
    """What is wrong where the node is not among the functions of one number that all of the output of one of
    `operators`, which the NPU runs, goes through."""
    layers = subject.chains.layers_before(subject.node, operators)
    if not layers:
        return f"is no function of what {_any_of(operators)} makes"
    if subject.chains.joins(subject.node):
        return "it is a function of more than one tensor"
    on_npu = [layer for layer in layers if subject.units.get(layer.name) in ON_NPU]
    if not on_npu:
        return f"`{layers[0].name}` is not on the NPU"
    for layer in on_npu:
        chain = subject.chains.behind(layer.outputs[0])
        if any(node.name == subject.node.name for node in chain.nodes):
            return None
    return f"what `{on_npu[0].name}` makes, or is made of it before, has other readers"
