"""MPK: its members as Python's own tools see them, and as we read them back."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

import pytest
import yaml

from modelbuild.errors import ModelbuildError
from modelbuild.formats import elf, mpk, tar
from modelbuild.formats.mpk import MpkTensor
from tests.formats.mpk_sources import source


def files(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as opened:
        return {info.name: opened.extractfile(info).read() for info in opened}  # type: ignore[union-attr]


def description(data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files(data)["digits_mpk.json"])
    return found


def test_the_members_are_flat_and_sorted() -> None:
    assert list(files(mpk.build(source()))) == [
        "0_postproc.json",
        "0_preproc.json",
        "0_process_mla.json",
        "digits_host.sim.bin",
        "digits_mpk.json",
        "digits_stage1_mla.elf",
        "digits_stage1_mla_stats.yaml",
        "pipeline_sequence.json",
    ]


def test_a_model_without_cpu_work_has_no_host_member() -> None:
    data = mpk.build(source(host=b"", program_suffix=".lm"))
    assert "digits_host.sim.bin" not in files(data)
    assert "digits_stage1_mla.lm" in files(data)
    assert [plugin["processor"] for plugin in description(data)["plugins"]] == ["EV74", "MLA"] + ["EV74"] * 3
    assert mpk.read(data).host == b""


def test_the_description_has_the_vendors_fields() -> None:
    found = description(mpk.build(source()))
    assert found["name"] == "digits"
    assert found["model_path"] == "digits.onnx"
    assert found["model_sdk_version"] == "modelbuild/9.9.9"
    assert found["sequence"] == 1
    assert found["input_nodes"] == [
        {
            "name": "image",
            "type": "buffer",
            "size": 256,
            "dtype": "float32",
            "shape": [1, 1, 8, 8],
            "input_range": [0.0, 1.0],
        }
    ]
    first, mla, cpu = found["plugins"][:3]
    assert first["config_params"]["kernel"] == "quantization_transform"
    assert first["config_params"]["params"]["channel_params"] == [[4.0, -128]], "1 / scale, zero point"
    assert (first["sequence"], first["type"], first["resources"]) == (1, "sgpProcess", None)
    assert mla["processor"] == "MLA" and mla["resources"] == {"executable": "digits_stage1_mla.elf"}
    assert mla["config_params"]["number_of_quads_to_user"] == 4
    assert cpu["processor"] == "A65" and cpu["resources"] == {"executable": "digits_host.sim.bin"}
    assert cpu["config_params"]["operators"] == ["softmax"]
    last = found["plugins"][-1]
    assert last["config_params"]["kernel"] == "pass_through"
    assert [node["name"] for node in last["output_nodes"]] == ["scores", "map"]


def test_every_edge_has_a_producer_of_the_same_size() -> None:
    found = description(mpk.build(source(desired_batch=16, actual_batch=12)))
    made = {node["name"]: node["size"] for node in found["input_nodes"]}
    for plugin in found["plugins"]:
        for node in plugin["input_nodes"]:
            assert made[node["name"]] == node["size"]
        made |= {node["name"]: node["size"] for node in plugin["output_nodes"]}
        config = plugin["config_params"]
        assert (config["desired_batch_size"], config["actual_batch_size"]) == (16, 12)
    assert made["map"] == 4 * 16 * 12


def test_the_statistics_cover_the_frame_without_gaps() -> None:
    stats = yaml.safe_load(files(mpk.build(source()))["digits_stage1_mla_stats.yaml"])
    assert stats == {
        0: {"name": "MLA_0/conv_1", "start_cycle": 0, "end_cycle": 99},
        1: {"name": "MLA_0/fc", "start_cycle": 100, "end_cycle": 106},
    }


def test_the_program_is_an_elf_with_the_vendors_sections() -> None:
    image = elf.read(files(mpk.build(source()))["digits_stage1_mla.elf"])
    sizes = {section.name: section.size for section in image.sections}
    assert sizes["code.r0.c0"] == 200
    assert next(name for name in sizes if name.startswith("filter.")).removeprefix("filter.").isalnum()
    assert sizes["ifm.persistent.image.b0"] == 64
    assert sizes["ofm.persistent.scores_output.b0"] == 10
    assert sizes["ofm.persistent.map_output.b0"] == 32
    note = image.find(".comment")
    assert note is not None and b"not for silicon" in image.content(note)


def test_the_pipeline_names_configurations_that_exist() -> None:
    members = files(mpk.build(source()))
    steps = json.loads(members["pipeline_sequence.json"])["pipelines"][0]["sequence"]
    assert [step["sequence_id"] for step in steps] == [1, 2, 3]
    assert all(step["configPath"] in members for step in steps)
    process = json.loads(members["0_process_mla.json"])["simaai__params"]
    assert (process["in_tensor_sz"], process["out_tensor_sz"]) == (64, 42)
    preproc = json.loads(members["0_preproc.json"])["simaai__params"]["inputs"][0]
    assert preproc["preprocess"] == {"mean": 127, "std": 128}


def test_reading_gives_back_what_was_built() -> None:
    built = source(desired_batch=16, actual_batch=12)
    read = mpk.read(mpk.build(built))
    assert (read.command, read.weight, read.host) == (built.command, built.weight, built.host)
    assert (read.inputs, read.outputs) == (built.inputs, built.outputs)
    assert (read.name, read.model_path, read.model_checksum) == ("digits", "digits.onnx", "0123abcd")
    assert (read.desired_batch, read.actual_batch, read.cycles) == (16, 12, 107)
    assert not read.silicon
    assert all(check.ok for check in read.checks)


def test_equal_models_give_equal_bytes() -> None:
    assert mpk.build(source()) == mpk.build(source())


def repacked(change: dict[str, bytes | None]) -> bytes:
    """Our archive with some members replaced or left out, packed by Python's own tools."""
    members: dict[str, bytes | None] = {**files(mpk.build(source())), **change}
    return tar.write({name: data for name, data in members.items() if data is not None})


def failed(data: bytes) -> set[str]:
    return {check.what for check in mpk.read(data).checks if not check.ok}


def test_inconsistencies_are_found() -> None:
    broken = description(mpk.build(source()))
    broken["plugins"][1]["input_nodes"][0]["name"] = "nothing"
    broken["plugins"][0]["sequence"] = 9
    data = repacked({"digits_mpk.json": json.dumps(broken).encode()})
    assert failed(data) == {"every edge has a producer", "plugins are numbered from 1"}
    assert failed(repacked({"digits_host.sim.bin": None})) == {"every executable is a member"}
    assert failed(repacked({"part_1.so": b"\x7fELF"})) == {"no part runs from a shared object"}
    assert "one accelerator program" in failed(repacked({"digits_stage1_mla.elf": None}))
    assert "the program is an ELF" in failed(repacked({"digits_stage1_mla.elf": b"LM1 not an ELF"}))


def test_an_archive_of_the_vendors_form_is_read() -> None:
    """Nodes without types, shapes in the kernels' parameters, batch sizes under older names."""
    document = {
        "name": "net",
        "model_sdk_version": "2.0.0",
        "input_nodes": [{"name": "images", "type": "buffer", "size": 4915200}],
        "plugins": [
            {
                "name": "quantize_0",
                "sequence": 1,
                "processor": "EV74",
                "config_params": {
                    "kernel": "quantization_transform",
                    "batch_size": 16,
                    "params": {
                        "channel_params": [[255.06967737092486, -128]],
                        "num_bits": 8,
                        "output_data_type": "int8",
                        "output_shapes": [[1, 640, 640, 3]],
                    },
                },
                "input_nodes": [{"name": "images", "size": 4915200}],
                "output_nodes": [{"name": "quantize_0", "type": "buffer", "size": 1228800}],
                "resources": None,
            },
            {
                "name": "MLA_0",
                "sequence": 2,
                "processor": "MLA",
                "config_params": {"batch_size": 16, "batch_sz_model": 12, "number_of_quads_to_user": 4},
                "input_nodes": [{"name": "quantize_0", "size": 1228800}],
                "output_nodes": [{"name": "MLA_0", "type": "buffer", "size": 1209600}],
                "resources": {"executable": "net_stage1_mla.elf"},
            },
        ],
    }
    program = elf.write([elf.NewSection("code.r0.c0", b"x"), elf.NewSection("filter.0f", b"yz")])
    read = mpk.read(tar.write({"net_mpk.json": json.dumps(document).encode(), "net_stage1_mla.elf": program}))
    assert read.silicon
    assert (read.desired_batch, read.actual_batch) == (16, 12)
    assert read.inputs[0].shape == (1, 640, 640, 3)
    assert read.inputs[0].scale == pytest.approx(0.00392, rel=1e-3)
    assert (read.command, read.weight, read.layers) == (b"x", b"yz", ())
    assert [node.name for node in read.output_nodes] == ["MLA_0"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "a/b"}, "part of a file name"),
        ({"name": ""}, "part of a file name"),
        ({"program_suffix": ".so"}, "not .lm or .elf"),
        ({"toolchain_version": "2.0.0"}, "does not start with"),
        ({"outputs": ()}, "no inputs or no outputs"),
        ({"desired_batch": 4, "actual_batch": 0}, "achieved batch is 0"),
        ({"desired_batch": 0, "actual_batch": 1}, "desired batch is 0"),
        ({"inputs": (MpkTensor("x", (1, 2), 8, True, 0.0, 0),)}, "not positive"),
        ({"input_ranges": {"image": (0.0, float("inf"))}}, "cannot be written"),
    ],
)
def test_models_that_cannot_be_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ModelbuildError, match=message):
        mpk.build(source(**changes))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"digits_mpk.json": None}, "0 files named"),
        ({"mpk.json": b"{}"}, "2 files named"),
        ({"digits_mpk.json": b"[]"}, "not what its format asks for"),
        ({"digits_mpk.json": b'{"plugins": [1]}'}, "not what its format asks for"),
        ({"digits_mpk.json": b'{"plugins": [], "plugins": []}'}, "not what its format asks for"),
        ({"digits_stage1_mla_stats.yaml": b"nonsense"}, "not a table"),
        ({"digits_stage1_mla.elf": b"\x7fELF"}, "ELF"),
    ],
)
def test_members_that_are_not_what_they_say_are_refused(
    change: dict[str, bytes | None], message: str
) -> None:
    with pytest.raises(ModelbuildError, match=message) as caught:
        mpk.read(repacked(change))
    assert caught.value.exit_code == 2
