"""Counts of the program beside those that were predicted: what differs is told with what decides it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from modelbuild.report.predicted import CODE, differences
from tests.report.stage_files import Maker, stages

Json = dict[str, Any]


def told(change: Callable[[Json, Json, Json], None]) -> str:
    """The finding after a change of evaluate.json, compile.json and quantize.json; "" if there is none."""
    found = stages()
    evaluated, compiled, quantized = (found[role] for role in ("evaluate", "compile", "quantize"))
    change(evaluated, compiled, quantized)
    findings = differences(evaluated, compiled, quantized)
    assert all((one.code, one.severity) == (CODE, "note") for one in findings) and len(findings) < 2
    return findings[0].message if findings else ""


def test_equal_counts_are_not_told() -> None:
    assert told(lambda evaluated, compiled, quantized: None) == ""


def test_what_the_program_says_of_itself_is_no_difference() -> None:
    def larger(by: int) -> str:
        return told(lambda evaluated, compiled, _: compiled["memory"].update(dram_peak=1_289_000 + by))

    assert larger(18_220) == larger(0) == ""
    assert "1,307,221 bytes of DRAM for 1,289,000" in larger(18_221)
    assert "1,288,999 bytes of DRAM for 1,289,000" in larger(-1)


def test_what_is_fused_belongs_to_the_layer_before_it() -> None:
    def change(evaluated: Json, compiled: Json, quantized: Json) -> None:
        fused = {**compiled["layers"][1], "origin": ["relu"], "cycles": 10}
        compiled["layers"][1]["cycles"] -= 10
        compiled["layers"].insert(2, fused)
        compiled["layers"][5]["cycles"] += 1
        compiled["cycles"] += 1

    assert f"(of the layers `{stages()['compile']['layers'][4]['name']}`)" in told(change)


def test_channels_that_are_divided_on_a_kpu_are_told_by_their_node() -> None:
    """Whose layers have names of their own."""

    def change(evaluated: Json, compiled: Json, quantized: Json) -> None:
        evaluated["nodes"] = [{"name": "stem"}]
        compiled["layers"][1]["origin"] = ["stem_part0"]
        compiled["cycles"] += 1

    assert "channels of `stem` are divided" in told(change)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("dram_read", "bytes read"),
        ("dram_write", "bytes written"),
        ("weight_bytes", "bytes of weights moved"),
    ],
)
def test_traffic(key: str, words: str) -> None:
    def change(evaluated: Json, compiled: Json, quantized: Json) -> None:
        compiled["layers"][3][key] += 7

    before = sum(layer[key] for layer in stages()["compile"]["layers"])
    assert told(change).endswith(f"): {before + 7:,} {words} for {before:,}")


def test_the_cpus_part_is_not_counted() -> None:
    def change(evaluated: Json, compiled: Json, quantized: Json) -> None:
        layer = {**compiled["layers"][0], "unit": "cpu", "dram_read": 999}
        compiled["layers"].append(layer | {"cycles": 0})

    assert told(change) == ""


def test_packed_weights() -> None:
    def change(evaluated: Json, compiled: Json, quantized: Json) -> None:
        evaluated["weight_compress"] = {"wanted": False, "counted": "unpacked", "because": None}
        compiled["packed"] = 1200
        compiled["cycles"] -= 100

    cycles = stages()["compile"]["cycles"]
    assert told(change) == (
        "the program has other counts than were predicted (weights are packed, 1,200 bytes less): "
        f"{cycles - 100:,} cycles for {cycles:,}"
    )


def packed(wanted: bool, more: Callable[[Json, Json, Json], None] | None = None) -> str:
    """What is told where weights are packed, and evaluate knew that they were to be."""

    def change(evaluated: Json, compiled: Json, quantized: Json) -> None:
        evaluated["weight_compress"] = {"wanted": wanted, "counted": "unpacked", "because": None}
        compiled["packed"] = 1200
        compiled["cycles"] -= 100
        compiled["layers"][0]["cycles"] -= 100
        compiled["layers"][0]["weight_bytes"] -= 1200
        compiled["memory"]["dram_peak"] = evaluated["memory"]["dram_peak"] - 1200
        if more is not None:
            more(evaluated, compiled, quantized)

    return told(change)


def test_packing_that_was_known_to_come_is_not_told() -> None:
    assert packed(wanted=True) == ""
    assert "(weights are packed, 1,200 bytes less)" in packed(wanted=False)


def test_another_cause_beside_packing_is_told() -> None:
    def wide(evaluated: Json, compiled: Json, quantized: Json) -> None:
        quantized["tensors"][2]["bits"] = 16

    def divided(evaluated: Json, compiled: Json, quantized: Json) -> None:
        compiled["layers"].insert(1, compiled["layers"][0])

    assert "1,200 bytes less; 1 of 26 tensors have 16 bits)" in packed(True, wide)
    assert "are divided)" in packed(True, divided)


def test_what_packing_cannot_explain_is_told() -> None:
    def reads(evaluated: Json, compiled: Json, quantized: Json) -> None:
        compiled["layers"][3]["dram_read"] -= 1

    def longer(evaluated: Json, compiled: Json, quantized: Json) -> None:
        compiled["cycles"] += 101

    assert "bytes read for" in packed(True, reads)
    assert "cycles for" in packed(True, longer)


def test_inputs_of_a_concat() -> None:
    def change(evaluated: Json, compiled: Json, quantized: Json) -> None:
        compiled["layers"][4]["kind"] = "concat"
        part = {**compiled["layers"][4], "kind": "rescale", "cycles": 50}
        compiled["layers"].insert(4, part)
        compiled["cycles"] += 50

    name = stages()["compile"]["layers"][4]["name"]
    assert f"(ranges decide which inputs of `{name}` are rescaled)" in told(change)


def test_divided_channels() -> None:
    def change(evaluated: Json, compiled: Json, quantized: Json) -> None:
        compiled["layers"].insert(1, compiled["layers"][0])
        compiled["cycles"] += 1

    name = stages()["compile"]["layers"][0]["name"]
    assert f"(channels of `{name}` are divided)" in told(change)


def test_nodes_that_quantizing_divides() -> None:
    """Their parts have names of their own."""

    def change(evaluated: Json, compiled: Json, quantized: Json) -> None:
        first = compiled["layers"][0]
        parts = [{**first, "name": f"{name}_part{n}", "origin": [f"{name}_part{n}"]} for n in range(2)]
        compiled["layers"][:1] = parts
        compiled["cycles"] += 1

    name = stages()["compile"]["layers"][0]["name"]
    assert f"(channels of `{name}` are divided)" in told(change)


def test_kmodels_have_no_peaks_and_their_own_pictures() -> None:
    def change(evaluated: Json, compiled: Json, quantized: Json) -> None:
        compiled["memory"] = {"kmodel": 1000, "total": 2000}
        compiled["batch"]["achieved"] = 4
        compiled["executed"] = []

    assert told(change) == ""

    def slower(evaluated: Json, compiled: Json, quantized: Json) -> None:
        change(evaluated, compiled, quantized)
        compiled["cycles"] += 1

    assert "(of no layer by itself)" in told(slower)


def test_wide_tensors() -> None:
    def change(evaluated: Json, compiled: Json, quantized: Json) -> None:
        quantized["tensors"][2]["bits"] = 16
        compiled["cycles"] += 9

    assert "(1 of 26 tensors have 16 bits)" in told(change)


def test_another_batch() -> None:
    def change(evaluated: Json, compiled: Json, quantized: Json) -> None:
        evaluated["batch"] = 8
        evaluated["cycles"] *= 8

    assert "(of a batch of 1, not 8)" in told(change)


def test_what_nothing_explains_names_the_layers() -> None:
    def change(evaluated: Json, compiled: Json, quantized: Json) -> None:
        for layer in compiled["layers"][:5]:
            layer["cycles"] += 1
        compiled["cycles"] += 5

    names = [layer["name"] for layer in stages()["compile"]["layers"][:3]]
    assert f"(of the layers `{names[0]}`, `{names[1]}`, `{names[2]}` and 2 more)" in told(change)


def test_it_stands_among_the_findings_of_the_report(maker: Maker) -> None:
    codes = [one.code for one in maker.collect().models[0].findings or ()]
    assert CODE not in codes
    maker.stages["compile"]["cycles"] += 1
    assert [one.code for one in maker.collect().models[0].findings or ()] == [*codes, CODE]
