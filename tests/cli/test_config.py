"""`config`: every effective setting with where it came from."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Command, edit


def rows(out: str) -> dict[str, tuple[str, str]]:
    """setting -> (value, origin), from the columns."""
    header, *lines = out.splitlines()
    second, third = header.index("value"), header.index("from")
    return {line[:second].strip(): (line[second:third].strip(), line[third:].strip()) for line in lines}


def test_a_line_a_setting(small: Path, command: Command) -> None:
    said = command(small, "config", "small@nef")
    assert said.code == 0 and said.lines[0].split() == ["setting", "value", "from"]
    found = rows(said.out)
    assert list(found) == sorted(found)
    assert found["accept.snr_db"] == ("5.0", "models.yaml:4:96")
    assert found["verify.hardware"] == ('"all"', "models.yaml:4:73")
    assert found["quantize.range.method"] == ('"mse"', "built in")
    assert found["quantize.weights"] == ('"int8"', "recipe kl720")


def test_a_target_and_the_command_line_stand_above(copied: Path, command: Command) -> None:
    edit(copied, "nef: {chip: kl720}", "nef: {chip: kl720, quantize: {range: {method: minmax}}}")
    found = rows(command(copied, "config", "small@nef").out)
    assert found["quantize.range.method"][0] == '"minmax"'
    assert found["quantize.range.method"][1].startswith("models.yaml:5:")
    other = rows(command(copied, "config", "small@old").out)
    assert other["quantize.range.method"][0] == '"mse"'
    said = command(copied, "config", "small@nef", "--set", "quantize.range.method=percentile")
    value, origin = rows(said.out)["quantize.range.method"]
    assert value == '"percentile"' and "--set" in origin


def test_the_table_and_the_data_say_the_same(small: Path, command: Command) -> None:
    found = rows(command(small, "config", "small@mpk").out)
    data = command(small, "config", "small@mpk", "--json").json
    assert (data["model"], data["target"]) == ("small", "mpk")
    assert data["origins"] == {name: origin for name, (_, origin) in found.items()}


def test_wrong_pairs(small: Path, command: Command) -> None:
    assert "is not MODEL@TARGET" in command(small, "config", "small").err
    said = command(small, "config", "smal@nef")
    assert said.code == 2 and "`small`" in said.err
