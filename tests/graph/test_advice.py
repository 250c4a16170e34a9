"""What advice says: what is allowed, what rewrites it, where to cut, who else runs it; and what the passes of
recipes bring to an NPU."""

from __future__ import annotations

import numpy as np
import pytest

from modelbuild.chips.load import chip_names, load_recipe
from modelbuild.graph.check import place
from modelbuild.graph.codes import CODES
from modelbuild.graph.model import Graph
from modelbuild.graph.passes import run_passes
from tests.graph.tables import behind, conv, one, pool
from tests.graph.test_kneron_tables import NOTES, OLD

FOUR = (1, 8, 16, 16)


def advice(graph: Graph, chip: str) -> str:
    others = [load_recipe(name) for name in ("kl520", "kl530", "kl720", "k210", "modalix")]
    (found,) = [one for one in place(graph, load_recipe(chip), lambda: others).findings if one.node == "n"]
    return found.advice


def test_advice_says_what_is_allowed_what_rewrites_it_and_who_else_runs_it() -> None:
    told = advice(conv(stride=(5, 5)), "kl720").split("; or ")
    assert told == [
        "allowed is stride over rows at most 4: take smaller steps in two layers instead of a large one",
        "let the pass `strided_conv_to_slice` rewrite it, in a recipe of your own (`extends: kl720`, "
        "`own_passes: [strided_conv_to_slice]`)",
        "take another chip: the NPU of kl530, k210 and modalix runs it",
    ]
    told = advice(pool("AveragePool", (5, 5), (1, 1)), "kl720").split("; or ")
    assert told[0].startswith("allowed is stride at least 4 or kernel at most 3: ")
    assert told[-1] == "take another chip: the NPU of modalix runs it"
    assert "takes another" not in advice(one("Softmax", FOUR, FOUR, axis=3), "k210")


def test_advice_names_the_node_of_the_source_to_cut_at() -> None:
    graph = behind(conv(), "TopK", FOUR)
    graph.nodes[0].origin = ("backbone/conv", "backbone/relu")
    (found,) = place(graph, load_recipe("kl720")).findings
    assert 'cut the model before it (edit: [{cut: {outputs: ["backbone/relu"]}}])' in found.advice
    first = place(one("TopK", FOUR, FOUR), load_recipe("kl720")).findings[0]
    assert "cut" not in first.advice  # there is nothing before it


def gated(times: int) -> Graph:
    """Convolutions with a Sigmoid behind each, but for the last of several."""
    weight, size = np.zeros((8, 8, 1, 1), np.float32), (1, 8, 64, 64)
    graph = behind(conv(), "Sigmoid", size)
    for index in range(1, times):
        graph = behind(graph, "Conv", size, weight)
        graph = behind(graph, "Sigmoid", size) if index < times - 1 else graph
    return graph


def test_advice_on_the_cpu_is_equal_for_equal_nodes() -> None:
    placement = place(gated(3), load_recipe("kl520"))
    first, second = (found for found in placement.findings if found.code == "MB103")
    assert first.advice == second.advice and "accept the time of the CPU" in first.advice
    at_the_end = place(gated(1), load_recipe("kl520")).findings[-1]
    assert "edit: [{tail: auto}]" in at_the_end.advice


def test_a_pass_that_was_left_out_is_named() -> None:
    large = one("GlobalAveragePool", (1, 8, 32, 32), (1, 8, 1, 1))
    (found,) = [item for item in place(large, load_recipe("kl520")).findings if item.code == "MB104"]
    assert "see that `optimize:` does not leave out the pass `split_global_pool`" in found.advice


NONE = np.zeros(0, np.float32)
LOWERED: list[tuple[str, Graph, list[str]]] = [
    ("kl520", one("GlobalAveragePool", (1, 8, 32, 32), (1, 8, 1, 1)), ["npu", "npu"]),
    ("kl720", one("GlobalAveragePool", (1, 8, 160, 160), (1, 8, 1, 1)), ["npu", "npu"]),
    ("kl520", one("Resize", FOUR, (1, 8, 8, 8), NONE, np.array([1, 1, 0.5, 0.5], np.float32)), ["npu"]),
    ("kl720", one("Resize", FOUR, (1, 8, 32, 32), NONE, np.array([1, 1, 2, 2], np.float32)), ["npu"] * 2),
    ("k210", conv(stride=(3, 3)), ["npu"]),
]


@pytest.mark.parametrize(("chip", "graph", "expected"), LOWERED)
def test_what_the_chips_own_passes_bring_to_its_npu(chip: str, graph: Graph, expected: list[str]) -> None:
    graph.dtypes = {name: np.dtype(np.float32) for name in graph.shapes}
    recipe = load_recipe(chip)
    lowered, _ = run_passes(graph, recipe.passes)
    assert list(place(lowered, recipe).units.values()) == expected


def test_kernels_and_deconvolutions_that_kl520_lacks() -> None:
    recipe = load_recipe("kl520")
    for graph in (conv((13, 13), pads=[0] * 4), conv(stride=(2, 2), op="ConvTranspose", pads=[0] * 4)):
        size = 52 if graph.nodes[0].op == "Conv" else 129
        graph.shapes["y"] = (1, 8, size, size)
        graph.nodes[0].attributes |= {"dilations": [1, 1], "group": 1}
        graph.dtypes = {name: np.dtype(np.float32) for name in graph.shapes}
        lowered, _ = run_passes(graph, recipe.passes)
        units = place(lowered, recipe).units
        assert "none" not in units.values()
        assert {units[node.name] for node in lowered.nodes if node.op == "Conv"} == {"npu"}


@pytest.mark.parametrize("chip", chip_names())
def test_findings_are_as_grave_as_their_codes_say(chip: str) -> None:
    recipe = load_recipe(chip)
    for label, graph, _ in (*NOTES, *OLD):
        placement = place(graph, recipe)
        assert set(placement.units) == {node.name for node in graph.nodes}, label
        for found in placement.findings:
            assert (found.severity == "error") <= CODES[found.code].stops, (label, found)
            assert found.advice and found.message, (label, found)
        stopped = {found.node for found in placement.findings if found.severity == "error"}
        assert {node for node, unit in placement.units.items() if unit == "none"} <= stopped


def test_of_forms_of_other_kinds_nothing_is_told() -> None:
    """A grouped Conv is neither one of one group nor a depthwise one, whatever its channels: one bound is
    what it breaks. And of what the lowering does by itself no pass is named."""
    graph = conv(x=(1, 512, 24, 24), out=512, group=4)
    (found,) = place(graph, load_recipe("k210")).findings
    assert "channels 512 > 256 on k210" in found.message and "grouping" not in found.message
    assert found.advice.startswith("allowed is channels at most 256: ") and "own_passes" not in found.advice


def test_chips_are_named_that_hold_the_model_or_none() -> None:
    graph = behind(conv(x=(1, 8, 4, 4), out=1000), "Conv", (1, 1200, 2, 2), np.zeros((1200, 1000, 3, 3)))
    for names, told in (
        (("kl520", "k210", "modalix"), "take a smaller model; or take another chip: kl520 and modalix can"),
        ((), "take a smaller model"),
    ):
        others = [load_recipe(name) for name in names]
        placed = place(graph, load_recipe("k210"), lambda known=others: known)
        assert [one.advice for one in placed.findings if one.code == "MB107"] == [told]
