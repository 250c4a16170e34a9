"""pipeline_sequence.json and the configurations of its steps."""

from __future__ import annotations

from typing import Any

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.formats import mpk_pipeline


def step(number: int, name: str, reads: object, **more: object) -> dict[str, Any]:
    return {
        "sequence_id": number,
        "name": name,
        "pluginId": "processcvu",
        "configPath": f"0_{name}.json",
        "processor": "CVU",
        "kernel": name,
        "input": reads,
        **more,
    }


def sequence(*steps: dict[str, Any]) -> tuple[mpk_pipeline.Step, ...]:
    return mpk_pipeline.decode_sequence({"pipelines": [{"sequence": list(steps)}]}, "x")


def broken(members: set[str], *steps: dict[str, Any]) -> list[str]:
    return [check.why for check in mpk_pipeline.check_sequence(sequence(*steps), members) if not check.ok]


def test_steps_are_read_in_order() -> None:
    found = sequence(step(2, "mla", "preproc", executable="n.elf"), step(1, "preproc", "decoder"))
    assert [(item.name, item.inputs, item.executable) for item in found] == [
        ("preproc", ("decoder",), ""),
        ("mla", ("preproc",), "n.elf"),
    ]


def test_steps_read_earlier_ones_and_name_files_that_are_there() -> None:
    both = {"0_a.json", "0_b.json"}
    assert broken(both, step(1, "a", "decoder"), step(2, "b", ["a", "decoder"])) == []
    assert broken(both, step(1, "a", "b"), step(2, "b", "a")) == ["a reads b"]
    assert broken(both, step(1, "a", "decoder"), step(2, "a", "a")) == ["two steps are called a"]
    assert broken({"0_a.json"}, step(1, "a", None), step(2, "b", "a")) == ["0_b.json"]
    assert broken({"0_a.json"}, step(1, "a", None, configPath="etc/0_a.json")) == []


def test_pipelines_stand_apart() -> None:
    both = [{"sequence": [step(1, "a", "decoder"), step(2, "b", "a")]} for _ in range(2)]
    found = mpk_pipeline.decode_sequence({"pipelines": both}, "x")
    assert [(item.pipeline, item.name) for item in found] == [(0, "a"), (0, "b"), (1, "a"), (1, "b")]
    assert all(check.ok for check in mpk_pipeline.check_sequence(found, {"0_a.json", "0_b.json"}))


@pytest.mark.parametrize(
    "document", [[], {"pipelines": {}}, {"pipelines": [1]}, {"pipelines": [{"sequence": [1]}]}]
)
def test_what_is_no_sequence_is_refused(document: Any) -> None:
    with pytest.raises(ModelbuildError, match="x is not what"):
        mpk_pipeline.decode_sequence(document, "x")


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("0_process_mla.json", True),
        ("mla.json", True),
        ("preproc.json", True),
        ("detess_dequant.json", True),
        ("0_boxdecoder.json", True),
        ("0_quanttess.json", True),
        ("12_postproc.json", True),
        ("net_mpk.json", False),
        ("pipeline_sequence.json", False),
        ("0_preproc.txt", False),
    ],
)
def test_configurations_of_every_era_are_known_by_their_names(name: str, known: bool) -> None:
    assert mpk_pipeline.is_configuration(name) == known


def test_known_values_are_given_and_other_keys_named() -> None:
    document: Any = {
        "version": 0.1,
        "simaai__params": {
            "outputs": [{"name": "mla_output_tensor", "size": 1209600}],
            "next_cpu": 1,
            "batch_size": 1,
        },
        "data_type": ["INT8"] * 40,
        "caps": {},
    }
    found = mpk_pipeline.decode_configuration(document, "0_process_mla.json")
    assert found.step == "process_mla"
    assert found.values == {
        "version": 0.1,
        "next_cpu": 1,
        "batch_size": 1,
        "outputs": [{"name": "mla_output_tensor", "size": 1209600}],
        "data_type": "a list of 40",
    }
    assert found.unknown == ("caps",)
    with pytest.raises(ModelbuildError):
        mpk_pipeline.decode_configuration([], "mla.json")
