"""MPK: its members as Python's own tools see them, and as we read them back."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from modelbuild.errors import ModelbuildError
from modelbuild.formats import elf, mpk, tar
from modelbuild.formats.mpk import MpkTensor
from tests.formats.archive_sources import files_tarred
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


def surveyed(change: dict[str, bytes | None]) -> set[str]:
    """What fails in an archive that is looked at and not to be used."""
    found = mpk.survey(repacked(change))
    return {check.what for check in (*found.safety, *found.checks) if not check.ok}


def test_what_we_wrote_is_written_again_byte_for_byte() -> None:
    for data in (mpk.build(source()), mpk.build(source(time=1_700_000_000))):
        assert mpk.write(mpk.read(data)) == data


def test_a_vendors_archive_comes_out_in_our_form() -> None:
    data = files_tarred(files(mpk.build(source())), uname="root", mtime=99)
    written = mpk.write(mpk.read(data))
    assert files(written) == files(data)
    assert mpk.write(mpk.read(written)) == written
    assert mpk.read(written).archive.times == {99}


def test_the_members_have_the_time_that_is_asked_for() -> None:
    with tarfile.open(fileobj=io.BytesIO(mpk.build(source(time=7)))) as opened:
        assert {info.mtime for info in opened} == {7}


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"digits_mpk.json": None}, {"the description is read"}),
        ({"mpk.json": b"{}"}, {"the description is read"}),
        ({"digits_mpk.json": b"[]"}, {"the description is read"}),
        ({"digits_mpk.json": b'{"plugins": [1]}'}, {"the steps are read"}),
        ({"digits_mpk.json": b'{"a": 1, "a": 2}'}, {"the description is read", "no key twice in JSON"}),
        (
            {"digits_mpk.json": b"[" * 100 + b"]" * 100},
            {"the description is read", "JSON of at most 64 levels"},
        ),
        ({"digits_mpk.json": b" " * (5 << 20)}, {"the description is read", "JSON of at most 4 MiB"}),
        ({"digits_stage1_mla_stats.yaml": b"nonsense"}, {"the statistics are read"}),
        ({"digits_stage1_mla.elf": b"\x7fELF"}, {"the program's sections are read"}),
        ({"0_preproc.json": b"{"}, {"the configurations are read"}),
        ({"pipeline_sequence.json": b"[]"}, {"the pipeline is read"}),
        ({"digits_host.sim.bin": None}, {"every executable is a member"}),
    ],
)
def test_what_cannot_be_read_is_told_and_the_rest_shown(
    change: dict[str, bytes | None], what: set[str]
) -> None:
    assert surveyed(change) == what
    found = mpk.survey(repacked(change))
    assert {member.name for member in found.members} >= {"0_postproc.json"}


def described(**changes: Any) -> dict[str, bytes | None]:
    """The description with its top changed."""
    return {"digits_mpk.json": json.dumps({**json.loads(FILES["digits_mpk.json"]), **changes}).encode()}


def plugin_changed(number: int, **changes: Any) -> dict[str, bytes | None]:
    """The description with fields of a plugin changed, those of `config_params` one by one."""
    plugins = json.loads(FILES["digits_mpk.json"])["plugins"]
    config = plugins[number]["config_params"] | changes.pop("config_params", {})
    plugins[number] |= {"config_params": config, **changes}
    return described(plugins=plugins)


FILES = files(mpk.build(source(desired_batch=16, actual_batch=12)))
STEPS, TYPES = "the description names its steps", "fields of the description have their types"
BATCHES = "batches are positive and alike in all steps"
MEMBER, RUNS = "every executable is a member", "every step of the accelerator runs a program"


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"digits_mpk.json": b"{}"}, {STEPS: "there are none"}),
        (described(plugins=[]), {STEPS: "there are none"}),
        (described(plugins=None), {STEPS: "there are none"}),
        (plugin_changed(0, output_nodes=[]), {STEPS: "quantize_0 has no output_nodes"}),
        (plugin_changed(0, processor=None), {STEPS: "quantize_0 has no processor"}),
        (plugin_changed(1, resources=None), {RUNS: "MLA_0 names none"}),
        (plugin_changed(1, resources={"executable": ""}), {RUNS: "MLA_0 names none"}),
        (plugin_changed(1, resources={"executable": "kernel_name_tbd"}), {RUNS: "MLA_0 names none"}),
        (plugin_changed(0, resources={"executable": "kernel_name_tbd"}), {}),
        (plugin_changed(0, resources={"executable": "sh"}), {MEMBER: "quantize_0 runs 'sh'"}),
        (
            plugin_changed(1, resources={"executable": "../../bin/sh"}),
            {MEMBER: "MLA_0 runs '../../bin/sh'"},
        ),
        (
            plugin_changed(1, resources={"executable": "/x/digits_stage1_mla.elf"}),
            {MEMBER: "MLA_0 runs '/x/digits_stage1_mla.elf'"},
        ),
        (plugin_changed(2, sequence="3"), {TYPES: "plugins[2].sequence is '3', not an integer"}),
        (
            plugin_changed(1, config_params={"actual_batch_size": "12"}),
            {TYPES: "plugins[1].config_params.actual_batch_size is '12', not an integer"},
        ),
        (
            plugin_changed(1, config_params={"actual_batch_size": 7}),
            {BATCHES: "the achieved batch is 7 in MLA_0, 12 in quantize_0"},
        ),
    ],
)
def test_what_the_description_says_wrong_is_told(
    change: dict[str, bytes | None], wrong: dict[str, str]
) -> None:
    found = mpk.survey(files_tarred({**FILES, **{k: v for k, v in change.items() if v is not None}}))
    told = {check.what: check.why for check in found.checks if not check.ok}
    known = (STEPS, TYPES, BATCHES, MEMBER, RUNS)
    assert {what: why for what, why in told.items() if what in known} == wrong


def test_a_batch_below_1_is_told() -> None:
    plugins = json.loads(FILES["digits_mpk.json"])["plugins"]
    for plugin in plugins:
        plugin["config_params"]["actual_batch_size"] = -12
    found = mpk.survey(files_tarred({**FILES, **described(plugins=plugins)}))  # type: ignore[dict-item]
    wrong = [check.why for check in found.checks if check.what == BATCHES]
    assert wrong == ["the achieved batch of quantize_0 is -12"]


def test_steps_whose_number_is_none_stay_where_they_stand() -> None:
    found = mpk.survey(files_tarred({**FILES, **plugin_changed(2, sequence="3")}))  # type: ignore[dict-item]
    names = [plugin.name for plugin in sorted(found.plugins, key=lambda item: item.sequence)]
    assert names == [plugin.name for plugin in mpk.read(files_tarred(FILES)).plugins]


def test_layers_that_take_no_cycles_are_told() -> None:
    stats = b"{0: {name: a, start_cycle: 9, end_cycle: 5}, 1: {name: b, start_cycle: -3, end_cycle: 5}}"
    found = mpk.survey(repacked({"digits_stage1_mla_stats.yaml": stats}))
    assert [(check.what, check.why) for check in found.checks if not check.ok] == [
        ("layers take cycles, from 0 on", "'a' from 9 to 5; 'b' from -3 to 5")
    ]


def test_configurations_that_cannot_be_read_hinder_nobody() -> None:
    """The runtime plans by the description alone."""
    found = mpk.read(repacked({"0_preproc.json": b"{", "pipeline_sequence.json": b"[]"}))
    assert {check.what for check in found.checks if not check.ok} == {
        "the pipeline is read",
        "the configurations are read",
    }


def test_a_member_that_breaks_a_rule_is_shown_and_not_used() -> None:
    data = files_tarred({**files(mpk.build(source())), "../evil_mpk.json": b"{}"})
    found = mpk.survey(data)
    assert [check.what for check in found.safety if not check.ok] == ["no path out of the folder"]
    assert found.name == "digits" and "evil_mpk.json" not in found.files
    with pytest.raises(ModelbuildError, match="leaves its folder"):
        mpk.read(data)


def test_members_in_folders_are_found_by_their_last_name() -> None:
    """As the vendor's loader unpacks them: into a folder for each kind."""
    data = files_tarred({f"etc/{name}": content for name, content in files(mpk.build(source())).items()})
    found = mpk.read(data)
    assert found.name == "digits" and all(check.ok for check in found.checks)


def test_two_members_for_one_place_are_refused() -> None:
    data = files_tarred({**files(mpk.build(source())), "other/digits_mpk.json": b"{}"})
    with pytest.raises(ModelbuildError, match="unpacks to one place"):
        mpk.read(data)


def test_an_archive_that_is_not_packed_is_read_too() -> None:
    found = mpk.read(files_tarred(files(mpk.build(source())), packing="w"))
    assert found.name == "digits" and not found.archive.packed


def changed(change: Callable[[dict[str, Any]], object]) -> set[str]:
    document = description(mpk.build(source()))
    change(document)
    return failed(repacked({"digits_mpk.json": json.dumps(document).encode()}))


def test_edges_are_checked() -> None:
    def size(document: dict[str, Any]) -> None:
        document["plugins"][1]["input_nodes"][0]["size"] += 1

    def no_size(document: dict[str, Any]) -> None:
        del document["plugins"][1]["input_nodes"][0]["size"]

    def backwards(document: dict[str, Any]) -> None:
        plugins = document["plugins"]
        plugins[0]["sequence"], plugins[1]["sequence"] = 2, 1

    assert changed(size) == {"both ends of every edge have one size"}
    assert changed(no_size) == set(), "a node may leave its size out"
    assert changed(backwards) == {"every edge has a producer"}


def test_names_of_edges_as_the_vendors_runtime_takes_them() -> None:
    """A tensor under its name in the model, too; and inputs that only the first step names."""

    def decorated(document: dict[str, Any]) -> None:
        document["plugins"][-1]["input_nodes"][0]["name"] += "//conv/output_0"

    def other(document: dict[str, Any]) -> None:
        document["plugins"][-1]["input_nodes"][0]["name"] = "nothing//dequantize_0"

    def no_top(document: dict[str, Any]) -> None:
        del document["input_nodes"]

    def no_name(document: dict[str, Any]) -> None:
        del document["plugins"][2]["input_nodes"][0]["name"]

    assert changed(decorated) == changed(no_top) == changed(no_name) == set()
    assert changed(other) == {"every edge has a producer"}


def test_processors_and_executables_are_checked() -> None:
    def processor(document: dict[str, Any]) -> None:
        document["plugins"][0]["processor"] = "GPU"

    def executable(document: dict[str, Any]) -> None:
        document["plugins"][1]["resources"]["executable"] = "other.elf"

    def placeholder(document: dict[str, Any]) -> None:
        document["plugins"][0]["resources"] = {"executable": "kernel_name_tbd"}

    assert changed(processor) == {"every processor is known"}
    assert changed(executable) == {"every executable is a member"}
    assert changed(placeholder) == set(), "no file, but what stands where none is"


def test_health_is_one_program_and_nothing_on_the_arm_cores() -> None:
    healthy = mpk.read(mpk.build(source(host=b""))).health
    assert (healthy.elf, healthy.lm, healthy.so, healthy.why) == (1, 0, 0, ())
    assert healthy.steps == {"EV74": 4, "MLA": 1}
    assert mpk.read(mpk.build(source(host=b"", program_suffix=".lm"))).health.why == ()
    ill = mpk.survey(repacked({"a.so": b"\x7fELF", "b.so": b"", "other.elf": b"\x7fELF"})).health
    assert ill.why == (
        "2 programs (.elf, .lm), not 1",
        "2 shared objects: parts of the graph run on the Arm cores",
        "steps on the Arm cores (A65): 1",
    )


@pytest.mark.parametrize("desired", ["desired_batch_size", "batch_size"])
@pytest.mark.parametrize("actual", ["actual_batch_size", "batch_sz_model", "batch_size_model"])
@pytest.mark.parametrize("inside", [True, False])
def test_the_batch_has_several_names_and_places(desired: str, actual: str, inside: bool) -> None:
    batch = {desired: 16, actual: 12}
    config = {"params": batch} if inside else batch
    document = {"plugins": [{"name": "MLA_0", "sequence": 1, "processor": "MLA", "config_params": config}]}
    found = mpk.survey(tar.write({"mpk.json": json.dumps(document).encode()}))
    assert (found.desired_batch, found.actual_batch) == (16, 12)


def test_the_range_of_an_input_is_read() -> None:
    read = mpk.read(mpk.build(source()))
    assert read.input_nodes[0].range == (0.0, 1.0) and read.output_nodes[0].range == ()


def test_fields_that_nobody_documents_are_kept_and_told() -> None:
    document = description(mpk.build(source()))
    assert mpk.read(mpk.build(source())).unknown == ()
    document["new"] = {"a": 1}
    document["input_nodes"][0]["odd"] = "x" * 500
    document["plugins"][1]["config_params"]["more"] = [1, 2]
    document["plugins"][2]["output_nodes"][0]["extra"] = None
    data = repacked({"digits_mpk.json": json.dumps(document).encode()})
    assert mpk.read(data).unknown == (
        ("new", '{"a": 1}'),
        ("input_nodes[0].odd", '"' + "x" * 119),
        ("plugins[1].config_params.more", "[1, 2]"),
        ("plugins[2].output_nodes[0].extra", "null"),
    )
    assert files(mpk.write(mpk.read(data))) == files(data)


@pytest.mark.parametrize(
    ("names", "generation"),
    [
        (["n_stage1_mla.lm"], "1.1"),
        (["n_stage1_mla.elf", "preproc.json", "mla.json", "detess_dequant.json"], "1.6"),
        (["n_stage1_mla.elf", "0_preproc.json", "0_process_mla.json"], "2.x"),
        (["n_stage1_mla.elf"], ""),
    ],
)
def test_members_tell_the_generation(names: list[str], generation: str) -> None:
    assert (
        mpk.survey(tar.write({"n_mpk.json": b"{}", **dict.fromkeys(names, b"{}")})).generation == generation
    )


def test_the_first_step_tells_the_precision() -> None:
    def cast(document: dict[str, Any]) -> None:
        document["plugins"][0]["config_params"] = {
            "kernel": "cast_transform",
            "params": {"out_dtype": "bfloat16"},
        }

    document = description(mpk.build(source()))
    cast(document)
    assert mpk.read(mpk.build(source())).precision == "int8"
    data = repacked({"digits_mpk.json": json.dumps(document).encode()})
    assert mpk.read(data).precision == "bfloat16"
    assert mpk.survey(tar.write({"mpk.json": b"{}"})).precision == ""
