"""The nodes that the outputs feel most, and what 16 bits would win."""

from __future__ import annotations

import pytest

from modelbuild.graph.model import Node
from modelbuild.quantize.sensitivity import sensitivity
from tests.quantize.cases import graph_of, make, normal, samples_of
from tests.quantize.mixed_cases import network, quantized, snr


def test_nodes_are_ranked_and_their_gain_is_what_is_measured() -> None:
    found = sensitivity(network(), quantized({}))
    gains = [node.gain_db for node in found.nodes]
    assert gains == sorted(gains, reverse=True)
    assert {node.node for node in found.nodes} == {"x", *(n.name for n in network().nodes)} - {
        "relu",  # melted into the convolution before it
        "pool",  # has its input's integers
        "flat",
        "curve",  # is made at the scale of what joins it
    }
    worst = found.nodes[0]
    better = quantized({"inputs": "int16"} if not worst.op else {"nodes": {worst.node: worst.setting}})
    measured = snr(better) - snr(quantized({}))
    assert measured == pytest.approx(worst.gain_db, abs=1.5)
    assert sensitivity(network(), better).predicted_snr_db == pytest.approx(
        found.predicted_snr_db + worst.gain_db, abs=0.2
    )


def test_macs_with_an_operand_of_16_bits() -> None:
    plain = sensitivity(network(), quantized({}))
    assert plain.macs_int16 == 0
    assert plain.macs == 64 * 8 * 27 + 64 * 8 * 9 + 2 * 16 * 6 * 8 + 12 * 5
    pool = sensitivity(network(), quantized({"nodes": {"sum": {"activations": "int16"}}}))
    assert pool.macs_int16 == 2 * 16 * 6 * 8  # the two convolutions behind the pool read it
    weights = sensitivity(network(), quantized({"nodes": {"first": {"weights": "int16"}}}))
    assert weights.macs_int16 == 64 * 8 * 27


@pytest.mark.parametrize("wide_tables", [True, False])
def test_16_bits_before_a_function_win_where_its_table_takes_them(wide_tables: bool) -> None:
    record = quantized({})
    plain = sensitivity(network(), record, wide_tables=wide_tables)
    left = next(node for node in plain.nodes if node.node == "left")
    counted = left.setting if wide_tables else {"weights": "int16"}
    better = sensitivity(network(), quantized({"nodes": {"left": counted}}))
    assert left.gain_db == pytest.approx(better.predicted_snr_db - plain.predicted_snr_db, abs=0.05)
    assert left.setting == {"activations": "int16", "weights": "int16"}


def test_the_json() -> None:
    found = sensitivity(network(), quantized({})).to_json()
    assert set(found) == {"predicted_snr_db", "macs", "macs_int16", "nodes"}
    assert found["nodes"][0].keys() == {
        "node", "op", "tensor", "activations", "weights", "output_snr_db", "gain_db", "macs"
    }  # fmt: skip


def test_what_no_output_depends_on_costs_nothing() -> None:
    """Its errors are as large as those of any tensor; a graph without it has the same prediction."""
    node = Node("Conv", "c", ["a", "w"], ["y"])
    weights = {"w": normal(4, 3, 3, 3)}
    two = graph_of([node], {"a": (1, 3, 8, 8), "b": (1, 3, 8, 8)}, ["y"], weights)
    one = graph_of([node], {"a": (1, 3, 8, 8)}, ["y"], weights)
    rows = [{**row, "b": row["b"] ** 3} for row in samples_of(two)]
    found, wanted = (sensitivity(g, make(g, "kl720", samples=rows).record) for g in (two, one))
    assert found.predicted_snr_db == wanted.predicted_snr_db
    assert {node.node: node.gain_db for node in found.nodes}["b"] == 0.0
