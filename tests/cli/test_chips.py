"""`chips`: the table of all, and one chip's facts with their sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild import api
from tests.cli.conftest import Command


def test_the_table(tmp_path: Path, command: Command) -> None:
    said = command(tmp_path, "chips")
    assert said.code == 0
    header, *rows = said.lines
    assert header.split() == ["chip", "vendor", "package", "edition", "activations", "weights", "scales"]
    assert [row.split()[0] for row in rows] == api.chips()
    starts = [header.index(word) for word in header.split()]
    by_chip = {
        row.split()[0]: [row[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)]
        for row in rows
    }
    assert by_chip["kl520"][2:5] == ["nef", "v0.33.1", "int8"]
    assert by_chip["kl720"][2:5] == ["nef", "v0.33.1", "int8, int16"]
    assert by_chip["modalix"][2] == "mpk"
    assert by_chip["nncase-cpu"][2:4] == ["kmodel", "v1.9.0"]


@pytest.mark.parametrize(("chip", "has"), [("k210", "cpu_copy_bytes_per_second"), ("nncase-cpu", "cpu_hz")])
def test_facts_that_say_nothing_of_a_chip_are_left_to_json(
    tmp_path: Path, command: Command, chip: str, has: str
) -> None:
    said = command(tmp_path, "chips", chip)
    named = [row.split()[0] for row in said.lines[2:-1]]
    assert has in named and not {"columns_at_once", "elementwise_per_cycle", "keeps_for_groups"} & set(named)
    left = [name for name, fact in api.recipe(chip).hardware if fact is not None and name not in named]
    assert said.lines[-1] == f"{len(left)} facts more, which say nothing of this chip, are in --json"


def test_one_chip(tmp_path: Path, command: Command) -> None:
    said = command(tmp_path, "chips", "kl720")
    recipe = api.recipe("kl720")
    first, header, *rows = said.lines
    assert first == f"kl720: {recipe.description}"
    assert header.split() == ["fact", "value", "sure", "source"]
    facts = recipe.model_dump(mode="json", exclude_none=True)["hardware"]
    assert "power_watts" not in facts
    said_of_package = rows[len(facts) :]
    assert sorted(row.split()[0] for row in rows[: len(facts)]) == sorted(facts)
    assert [row.split()[:3] for row in said_of_package] == [
        ["dram_base", "0x80220000", "measured"],
        ["max_model_bytes", "78,643,200", "vendor"],
        ["max_package_bytes", "73,400,320", "vendor"],
        ["weight_compress", "false", "vendor"],
    ]
    assert said_of_package[1].endswith("device_ddr_management: 75 MB")
    for row in rows[: len(facts)]:
        name, value, sure = row.split()[:3]
        assert (
            float(value.replace(",", "")) == pytest.approx(facts[name]["value"], rel=1e-5)
            and sure == facts[name]["sure"]
        )
        assert row.endswith(facts[name]["source"])


def test_numbers_have_no_exponents(tmp_path: Path, command: Command) -> None:
    values = {row.split()[0]: row.split()[1] for row in command(tmp_path, "chips", "k210").lines[2:]}
    assert (values["sram_bytes"], values["clock_hz"]) == ("2,097,152", "400,000,000")
    assert (values["cpu_operations_per_cycle"], values["max_model_bytes"]) == ("0.5", "6,291,456")
    assert not any("e+" in value for value in values.values())


def test_an_unknown_chip(tmp_path: Path, command: Command) -> None:
    said = command(tmp_path, "chips", "kl702")
    assert said.code == 2 and "did you mean `kl720`?" in said.err and said.out == ""
