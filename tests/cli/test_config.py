"""`config`: every effective setting with where it came from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Command, edit


def rows(out: str) -> dict[str, tuple[str, str]]:
    """setting -> (value, origin), from the columns."""
    header, *lines = (line for line in out.splitlines() if not line.startswith("  instead of"))
    second, third = header.index("value"), header.index("from")
    return {line[:second].strip(): (line[second:third].strip(), line[third:].strip()) for line in lines}


def test_a_line_a_setting(small: Path, command: Command) -> None:
    said = command(small, "config", "small@nef")
    assert said.code == 0 and said.lines[0].split() == ["setting", "value", "from"]
    found = rows(said.out)
    assert list(found) == sorted(found)
    assert found["accept.snr_db"] == ("5.0", "models.yaml:4:96")
    assert found["verify.hardware"] == ('"all"', "models.yaml:4:73")
    assert found["quantize.range.method"] == ('"output_error"', "built in")
    assert found["quantize.weights"] == ('"int8"', "recipe kl720")


def test_a_target_and_the_command_line_stand_above(copied: Path, command: Command) -> None:
    edit(copied, "nef: {chip: kl720}", "nef: {chip: kl720, quantize: {range: {method: minmax}}}")
    found = rows(command(copied, "config", "small@nef").out)
    assert found["quantize.range.method"][0] == '"minmax"'
    assert found["quantize.range.method"][1].startswith("models.yaml:5:")
    other = rows(command(copied, "config", "small@old").out)
    assert other["quantize.range.method"][0] == '"output_error"'
    said = command(copied, "config", "small@nef", "--set", "quantize.range.method=percentile")
    value, origin = rows(said.out)["quantize.range.method"]
    assert value == '"percentile"' and "--set" in origin


def test_the_table_and_the_data_say_the_same(small: Path, command: Command) -> None:
    found = rows(command(small, "config", "small@mpk").out)
    data = command(small, "config", "small@mpk", "--json").json
    assert (data["model"], data["target"]) == ("small", "mpk")
    told = {**dict.fromkeys(data["defaults"], "built in"), **data["origins"]}
    assert told == {name: origin for name, (_, origin) in found.items()}


def test_defaults_that_hang_on_others_are_told(copied: Path, command: Command) -> None:
    known = ("bias_correction", "equalize", "rounding", "split", "threads")
    data = command(copied, "config", "small@nef", "--json").json["defaults"]
    assert {key: value for key, value in data.items() if key.startswith("quantize")} == dict(
        zip((f"quantize.{key}" for key in known), ("auto", True, "auto", True, 2), strict=True)
    )
    assert {key: value for key, value in data.items() if key.startswith("compile")} == {
        "compile.dedicated_output_buffer": True,
        "compile.flatbuffer": True,
        "compile.sram_bytes": 512 << 10,
        "compile.tiling": "default",
        "compile.weight_compress": False,
    }
    edit(
        copied,
        "nef: {chip: kl720}",
        "nef: {chip: kl720, quantize: {range: {method: minmax}, rounding: squant, threads: 2}}",
    )
    found = rows(command(copied, "config", "small@nef").out)
    assert found["compile.tiling"] == ('"default"', "built in")
    assert found["quantize.equalize"] == ("false", "built in")
    assert found["quantize.split"] == ("false", "built in")
    assert found["quantize.bias_correction"] == ('"sequential"', "built in")
    assert found["quantize.rounding"][0] == '"squant"'
    assert found["quantize.threads"][0] == "2" and found["quantize.threads"][1].startswith("models.yaml:5:")


@pytest.mark.parametrize("mode", ["mix_light", "mix_balance", "mixbw", "auto"])
def test_defaults_of_weights_whose_bits_a_mode_chooses(copied: Path, command: Command, mode: str) -> None:
    """They are those of 8 bits; what `auto` has measured is not rounded anew."""
    said = command(copied, "config", "small@mpk", "--set", f"quantize.mode={mode}", "--json").json["defaults"]
    expected = ("observed", "parallel") if mode == "auto" else ("auto", "auto")
    assert (said["quantize.rounding"], said["quantize.bias_correction"]) == expected


def test_what_was_written_elsewhere_stands_below(copied: Path, command: Command) -> None:
    edit(
        copied,
        "nef: {chip: kl720}",
        "nef: {chip: kl720, quantize: {range: {method: percentile, percentile: 99}}}",
    )
    words = ("config", "small@nef", "--set", "quantize.range.method=minmax")
    lines = [line.split() for line in command(copied, *words).lines]
    at = next(index for index, line in enumerate(lines) if line[0] == "quantize.range.method")
    assert lines[at][1:] == ['"minmax"', "--set", "quantize.range.method=minmax"]
    assert lines[at + 1][:3] == ["instead", "of", '"percentile"'] and lines[at + 1][3].startswith(
        "models.yaml:5:"
    )
    assert lines[at + 2] == ["instead", "of", '"output_error"', "built", "in"]
    assert lines[at + 3][:4] == ["quantize.range.percentile", "(no", "effect)", "99.0"]
    data = command(copied, *words, "--json").json
    assert [item["value"] for item in data["overridden"]["quantize.range.method"]] == [
        "percentile",
        "output_error",
    ]
    assert [item["value"] for item in data["overridden"]["quantize.range.percentile"]] == [99.0]
    assert "quantize.range.percentile" not in data["origins"]


def test_a_shorthand_is_told_beside_what_it_stands_for(copied: Path, command: Command) -> None:
    data = command(copied, "config", "small@nef", "--set", "accept.snr_db=7", "--json").json
    assert data["settings"]["accept"] == {"snr_db": 7.0}
    ((replaced,),) = [data["overridden"]["accept.snr_db"]]
    assert replaced["value"] == 5 and replaced["origin"] == "models.yaml:4:96"


def test_a_model_on_each_of_its_targets(copied: Path, command: Command) -> None:
    edit(copied, "nef: {chip: kl720}", "nef: {chip: kl720, quantize: {range: {method: minmax}}}")
    said = command(copied, "config", "small")
    cells = [line.split() for line in said.lines]
    assert cells[0] == ["setting", "value", "from", "target"]
    assert ["accept.snr_db", "5.0", "models.yaml:4:96", "all"] in cells
    methods = [line for line in cells if line[0] == "quantize.range.method"]
    assert [line[1] for line in methods] == ['"minmax"', '"output_error"']
    assert methods[0][-1] == "nef" and methods[1][2:] == ["built", "in", "mpk,", "old"]
    data = command(copied, "config", "small", "--json").json
    assert set(data["targets"]) == {"nef", "old", "mpk"} and data["model"] == "small"
    assert data["targets"]["nef"]["settings"]["quantize"]["range"] == {"method": "minmax"}


def test_wrong_names(small: Path, command: Command) -> None:
    said = command(small, "config", "smal")
    assert said.code == 2 and "did you mean `small`" in said.err and said.out == ""
    said = command(small, "config", "smal@nef")
    assert said.code == 2 and "`small`" in said.err
    said = command(small, "config", "nothing_like_it")
    assert said.code == 2 and "small@nef" in said.err


def test_a_package_is_told_from_a_model(small: Path, command: Command) -> None:
    said = command(small, "config", "all-nef")
    assert said.code == 2 and "`all-nef` is a package" in said.err
    assert "name a model of it: small@nef" in said.err and "no such model" not in said.err
