"""Conditions of operator rules on the nodes around a node: what is before it, and who reads it."""

from __future__ import annotations

from itertools import permutations
from typing import Any

from modelbuild.chips.units import ON_NPU
from modelbuild.graph.subject import Subject, Undetermined

OF_PORTS = ("DequantizeLinear", "QuantizeLinear")  # they run where the data go in and out, and are no work


def chain_start(subject: Subject) -> Subject:
    """The convolution that a chain of fused nodes in front of the node begins with."""
    producer = subject.producers.get(subject.node.inputs[0])
    while producer is not None and subject.units.get(producer.name) == "fused":
        producer = subject.producers.get(producer.inputs[0])
    if producer is None:
        raise Undetermined("nothing is computed before it")
    return subject.at(producer)


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
        return f"does not follow {' or '.join(operators)}"
    if len(subject.consumers.get(source, ())) > 1 or source in subject.graph.outputs:
        return f"`{source}` has other readers"
    on_npu = subject.units.get(producer.name) in ON_NPU
    return None if on_npu else f"`{producer.name}` is not on the NPU"


def gate_of(subject: Subject, operators: Any) -> str | None:
    """What is wrong where the node is not g in x · g(x), with x made by one of `operators` on the NPU."""
    source, gate = subject.node.inputs[0], subject.node.outputs[0]
    producer = subject.producers.get(source)
    if producer is None or producer.op not in operators:
        return f"does not follow {' or '.join(operators)}"
    readers, products = subject.consumers.get(source, ()), subject.consumers.get(gate, ())
    alone = len(readers) == 2 and len(products) == 1 and products[0] in readers
    if not alone or products[0].op != "Mul" or {source, gate} & set(subject.graph.outputs):
        return "it is no gate of one tensor alone"
    on_npu = subject.units.get(producer.name) in ON_NPU
    return None if on_npu else f"`{producer.name}` is not on the NPU"


def is_gated(subject: Subject) -> bool:
    """Whether the node is x · g(x) with a gate g that is computed with the node before it."""
    for gate, source in permutations(subject.node.inputs, 2):
        producer = subject.producers.get(gate)
        if producer is not None and producer.inputs[:1] == [source]:
            return subject.units.get(producer.name) == "fused"
    return False
