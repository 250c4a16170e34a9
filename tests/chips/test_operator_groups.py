"""Named lists of operators in recipes: what they stand for, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild.chips.load import load_recipe
from modelbuild.chips.recipe import Recipe
from modelbuild.errors import ModelbuildError

HEAD = "extends: k210\nchip: own\n"
GROUPED = """
operator_groups: {curves: [Sin, Cos], gating: [Cos]}
operators:
  fused:
    curves: {after: [Conv, curves]}
    gating: {chained: [Conv, curves, Mul]}
    Mul: [{chained: [Conv]}, {before: [curves]}]
"""
WRITTEN = """
operators:
  fused:
    Sin: {after: [Conv, Sin, Cos]}
    Cos: [{after: [Conv, Sin, Cos]}, {chained: [Conv, Sin, Cos, Mul]}]
    Mul: [{chained: [Conv]}, {before: [Sin, Cos]}]
"""


def loaded(folder: Path, text: str, name: str = "own.yaml") -> Recipe:
    (folder / name).write_text(HEAD + text, encoding="utf-8")
    return load_recipe(f"./{name}", folder)


def test_groups_are_their_operators_written_out(tmp_path: Path) -> None:
    grouped, written = loaded(tmp_path, GROUPED), loaded(tmp_path, WRITTEN)
    assert grouped.model_dump_json() == written.model_dump_json()  # which keys and locks are made of
    assert grouped.operators != load_recipe("k210").operators


def test_groups_hold_in_editions_and_in_recipes_that_extend(tmp_path: Path) -> None:
    text = """
operator_groups: {curves: [Sin, Cos]}
editions: {old: {operators: {fused: {curves: {after: [Conv, functions]}, functions: {after: [curves]}}}}}
"""
    edition = loaded(tmp_path, text).editions[0]
    rules = {rule.op: rule.when for rule in edition.operators if rule.unit == "fused"}
    assert rules["Sin"]["after"] == ["Conv", *functions()] and rules["Tanh"]["after"] == ["Sin", "Cos"]
    removed = loaded(tmp_path, "operators: {fused: {pools: null, Relu: null}}")
    left = {rule.op for rule in removed.operators if rule.unit == "fused"}
    fused = {rule.op for rule in load_recipe("k210").operators if rule.unit == "fused"}
    assert fused - left == {"AveragePool", "MaxPool", "Relu"} and left < fused


def functions() -> list[str]:
    """The functions of one number that K210 fuses, in the order of the recipe."""
    return [rule.op for rule in load_recipe("k210").operators if "chained" in rule.when]


def test_k210_fuses_pools_behind_the_functions_that_it_fuses() -> None:
    fused = [rule for rule in load_recipe("k210").operators if rule.unit == "fused"]
    assert {"Relu", "LeakyRelu", "Sigmoid"} <= set(functions())
    layers = ["Conv", "Gemm", "MatMul", "Add", "Sub", "Sum"]
    assert all(rule.when["chained"] == layers for rule in fused if rule.op in functions())
    pools = [rule for rule in fused if "after_group" in rule.when]
    assert [rule.op for rule in pools] == ["AveragePool"] * 2 + ["MaxPool"] * 3
    assert all(rule.when["after"] == ["Conv", *functions()] for rule in pools)


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("operator_groups: [Sin]\n", "3:1", "must map names to lists"),
        ("operator_groups: {Curves: [Sin]}\n", "3:19", "small letter"),
        ("operator_groups: {curves: Sin}\n", "3:19", "must be a list of operators"),
        ("operator_groups: {curves: [Sin, functions]}\n", "3:19", "must be a list of operators"),
        ("operators: {fused: {Sin: {after: [Conv, function]}}}\n", "3:41", "unknown group `function`"),
        ("operators: {fused: {gate: {chained: [Conv]}}}\n", "3:21", "unknown group `gate`"),
    ],
)
def test_wrong_groups_are_named_with_their_place(tmp_path: Path, text: str, where: str, what: str) -> None:
    with pytest.raises(ModelbuildError) as caught:
        loaded(tmp_path, text)
    [problem] = caught.value.problems
    assert (problem.where, what in problem.what) == (f"./own.yaml:{where}", True), problem
