"""Which constants a recipe leaves to the fit, and writing them."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

import pytest

from bench import constants
from bench.constants import CENTRES, CHIPS, FACTS, SHARES, chip, written
from modelbuild import resources
from modelbuild.chips.load import load_recipe

RECIPES = sorted(resources.folder("recipes").rglob("*.yaml"))
VALUES = {
    "macs": 777.0,
    "pointwise": 0.5,
    "depthwise": 0.123456,
    "outputs": 3.0,
    "elements": 1.23456,
    "bandwidth": 9_876_543_210.0,
    "overhead": 400.0,
}
EXPECTED = {
    "macs_per_cycle": "777",
    "macs_per_cycle_pointwise": "388.5",
    "macs_per_cycle_depthwise": "95.93",
    "outputs_per_cycle": "3",
    "elementwise_per_cycle": "1.235",
    "dram_read_bytes_per_second": "9_877_000_000",
    "dram_write_bytes_per_second": "9_877_000_000",
    "weight_bytes_per_second": "9_877_000_000",
    "layer_overhead_cycles": "400",
}


def test_how_each_chip_knows_its_constants() -> None:
    found = {name: {key: how for key, how in chip(name).how.items() if how != "shared"} for name in CHIPS}
    known = {"macs": "known", "outputs": "known"}
    assert found["kl520"] == {
        **known,
        "pointwise": "known",
        "depthwise": "known",
        "elements": "own",
        "bandwidth": "known",
    }
    assert found["kl630"] == known
    assert [len(chip(name).own) for name in CHIPS] == [1, 2, 0, 2, 3]
    assert all(set(chip(name).how) == set(FACTS) for name in CHIPS)


def test_constants_are_those_of_the_recipe() -> None:
    found = chip("kl520")
    assert found.values["macs"] == 576 and found.values["pointwise"] == 256 / 576
    assert found.values["bandwidth"] == 0.8e9 and found.clock_hz == 300e6
    per_cycle = found.per_cycle(found.values)
    assert (per_cycle.window, per_cycle.pointwise) == (576, 256)
    assert per_cycle.read == per_cycle.write == per_cycle.weights == pytest.approx(8 / 3)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_writing_changes_the_values_of_the_fitted_facts_alone(path: Path) -> None:
    before = path.read_text(encoding="utf-8")
    after = written(before, VALUES)
    lines = [line for line in before.split("\n") if re.search(r"source: .bench/fit_chips\.py", line)]
    changed = [
        line[2:]
        for line in difflib.ndiff(before.split("\n"), after.split("\n"))
        if line.startswith(("+ ", "- "))
    ]
    assert len(changed) == 2 * len(lines) and len(after.split("\n")) == len(before.split("\n"))
    for old, new in zip(before.split("\n"), after.split("\n"), strict=True):
        if old not in lines:
            assert old == new
            continue
        fact = old.split(":")[0].strip()
        assert new == re.sub(r"value: [^,]+,", f"value: {EXPECTED[fact]},", old)


def test_comments_behind_a_fact_and_facts_that_only_name_the_bench_stay() -> None:
    text = (
        "# a comment: {value: 1, source: 'bench/fit_chips.py'}\n"
        "hardware:\n"
        "  elementwise_per_cycle: {value: 2, source: 'bench/fit_chips.py on', sure: fitted}  # why\n"
        "  layer_overhead_cycles: {value: 5, source: 'not by bench/fit_chips.py', sure: guess}\n"
        "  tile_bytes: {value: 7, source: 'bench/fit_chips.py knows no such constant', sure: guess}\n"
    )
    lines = written(text, VALUES).split("\n")
    assert lines[2] == text.split("\n")[2].replace("value: 2,", "value: 1.235,")
    assert [line for index, line in enumerate(lines) if index != 2] == [
        line for index, line in enumerate(text.split("\n")) if index != 2
    ]


def test_writing_goes_to_the_family_and_the_chips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copies = {path: tmp_path / path.name for path in RECIPES}
    for path, copy in copies.items():
        copy.write_bytes(path.read_bytes())
    real = constants.recipe_files
    monkeypatch.setattr(constants, "recipe_files", lambda name: tuple(copies[path] for path in real(name)))
    shared = {**{name: VALUES[name] for name in CENTRES}, "elements": 6.5}
    changed = constants.write(
        shared, {"kl520": {**VALUES, "elements": 2.5}, "kl630": {**shared, "macs": 512}}
    )
    assert sorted(path.name for path in changed) == ["kl520.yaml", "kneron.yaml"]  # kl630 has none of its own
    assert "elementwise_per_cycle: {value: 2.5," in (tmp_path / "kl520.yaml").read_text()
    family = (tmp_path / "kneron.yaml").read_text()
    assert "elementwise_per_cycle: {value: 6.5," in family
    assert "macs_per_cycle: {value: 512," in family and "macs_per_cycle_pointwise: {value: 256," in family
    assert constants.write(shared, {"kl520": {**VALUES, "elements": 2.5}}) == []


def test_what_is_written_is_what_is_read() -> None:
    for name in CHIPS:
        hardware, found = load_recipe(name).hardware, chip(name)
        for constant, facts in FACTS.items():
            value = found.values[constant] * (found.values["macs"] if constant in SHARES else 1)
            assert value == pytest.approx(getattr(hardware, facts[0]).value)
