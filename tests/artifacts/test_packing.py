"""Programs into containers and back: the simulator gets exactly the bytes that went in."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from modelbuild.arithmetic.fixed_model import FixedModel, QuantizedTensor
from modelbuild.artifacts.firmware import describe
from modelbuild.artifacts.inspect import inspect
from modelbuild.artifacts.packing import FORMATS, PackedProgram, Program
from modelbuild.artifacts.packing import mpk as mpk_packing
from modelbuild.artifacts.packing.nef import scale_and_radix
from modelbuild.artifacts.programs import choose
from modelbuild.chips.load import load_recipe
from modelbuild.errors import ModelbuildError
from modelbuild.formats import mpk, nef
from modelbuild.formats.nef_tensor import layout_bytes
from modelbuild.npu.batch_compiler import compile_batch
from modelbuild.npu.compiler import compile_model
from modelbuild.npu.simulator import simulate
from tests.arithmetic.dice import Dice
from tests.arithmetic.dice import one as one_operator
from tests.arithmetic.random_models import BUILDERS

CHIPS = ("kl520", "kl530", "kl630", "kl720", "kl730", "mlsoc", "modalix")


def packed(name: str, id: int | None, chip: str, kind: str = "conv", unit: str = "npu") -> PackedProgram:
    """A random operator, compiled."""
    model = BUILDERS[kind](Dice(len(name)))
    operators = tuple(replace(operator, unit=unit) for operator in model.operators)
    compiled = compile_model(replace(model, name=name, operators=operators), load_recipe(chip), {})
    plan = {
        "batch": {"desired": None, "achieved": 1, "reasons": []},
        "layers": [dataclasses.asdict(layer) for layer in compiled.layers],
        "memory": dataclasses.asdict(compiled.memory),
    }
    program = Program(name, compiled.command, compiled.weights, compiled.host, id)
    return PackedProgram(program, "0001", plan, f"{name}.onnx", "0" * 64)


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("unit", ["npu", "cpu"])
def test_what_is_packed_is_found_again(chip: str, unit: str) -> None:
    container = load_recipe(chip).container
    programs = [packed("first", 32769, chip, unit=unit), packed("second", 32770, chip, "gemm", unit)]
    files = FORMATS[container.format].pack(programs, container)
    assert files == FORMATS[container.format].pack(programs, container)
    found = {p.name: p for data in files.values() for p in FORMATS[container.format].unpack(data)}
    for given in (one.program for one in programs):
        again = found[given.name]
        assert (again.command, again.weights, again.host) == (given.command, given.weights, given.host)
        assert again.id == (given.id if container.format == "nef" else None)
    assert (programs[0].program.host != b"") == (unit == "cpu")
    assert all(".sim." in name for name in files)


def test_file_names_are_the_vendors_with_sim() -> None:
    kneron, sima = load_recipe("kl720").container, load_recipe("mlsoc").container
    assert list(FORMATS["nef"].pack([packed("a", 40000, "kl720")], kneron)) == ["models_720.sim.nef"]
    assert list(FORMATS["mpk"].pack([packed("a", None, "mlsoc")], sima)) == ["a_mpk.sim.tar.gz"]


@pytest.mark.parametrize("chip", [chip for chip in CHIPS if chip.startswith("kl")])
def test_a_nef_declares_the_room_that_its_layouts_take(chip: str) -> None:
    container = load_recipe(chip).container
    (data,) = FORMATS["nef"].pack([packed("a", 40000, chip)], container).values()
    (model,) = nef.read(data).models
    for tensors, region in ((model.inputs, "input"), (model.outputs, "output")):
        taken = [layout_bytes(container.platform, tensor.format, tensor.shape) for tensor in tensors]
        assert all(tensor.size >= size for tensor, size in zip(tensors, taken, strict=True))
        assert model.regions is None or getattr(model.regions, region).size >= sum(taken)


def test_a_nef_needs_ids() -> None:
    with pytest.raises(ModelbuildError, match="has no id"):
        FORMATS["nef"].pack([packed("a", None, "kl520")], load_recipe("kl520").container)


def test_an_mpk_counts_pictures_apart() -> None:
    model = BUILDERS["conv"](Dice(1))
    own = model.tensors["x"].shape[0]
    compiled, batch = compile_batch(model, load_recipe("modalix"), {}, 3 * own)
    plan = {"layers": [], "memory": {}, "batch": batch.to_json()}
    program = Program("net", compiled.command, compiled.weights, compiled.host)
    one = PackedProgram(program, "0001", plan, "net.onnx", "0" * 64)
    (data,) = FORMATS["mpk"].pack([one], load_recipe("modalix").container).values()
    read = mpk.read(data)
    assert (read.desired_batch, read.actual_batch) == (3 * own, 3 * own)
    assert FORMATS["mpk"].unpack(data)[0].command == compiled.command
    shape = (1, *model.tensors["x"].shape[1:])
    (mla,) = (plugin for plugin in read.plugins if plugin.processor == "MLA")
    assert [node.size for node in mla.inputs] == [3 * own * math.prod(shape)]
    told = describe(program, FORMATS["mpk"].describe(one), "0001", None, False, one.batch)
    assert told["batch"] == {"desired": 3 * own, "achieved": 3 * own}
    assert told["inputs"][0]["shape"] == [3 * own, *shape[1:]]


def of_batch(model: FixedModel, desired: int) -> PackedProgram:
    """Compiled for modalix with a batch."""
    compiled, batch = compile_batch(model, load_recipe("modalix"), {}, desired)
    plan = {"layers": [], "memory": {}, "batch": batch.to_json()}
    program = Program("net", compiled.command, compiled.weights, compiled.host)
    return PackedProgram(program, "0001", plan, "net.onnx", "0" * 64)


def in_an_mpk(one: PackedProgram) -> bytes:
    (data,) = FORMATS["mpk"].pack([one], load_recipe("modalix").container).values()
    return data


def test_an_mpk_tells_the_batch_that_was_desired_where_the_models_own_is_larger() -> None:
    read = mpk.read(in_an_mpk(of_batch(gathered(4), 2)))
    assert (read.desired_batch, read.actual_batch) == (2, 4)
    assert [(node.shape, node.size) for node in read.output_nodes] == [((1, 6), 4 * 4 * 6)]


def gathered(own: int) -> FixedModel:
    """[own, 6] along whose dimension 0 a gather picks: no other batch is possible."""
    x = QuantizedTensor("x", (own, 6), 8, True, 0.125, 0)
    turned = {"indices": np.arange(own, dtype=np.int32)[::-1].copy()}
    return one_operator("gather", [x, replace(x, name="y")], {"axis": 0}, turned)


@pytest.mark.parametrize(("own", "desired"), [(1, 1), (1, 8), (4, 1), (4, 4), (4, None)])
def test_an_mpk_tells_outputs_whose_dimension_0_is_no_batch(own: int, desired: int | None) -> None:
    x = QuantizedTensor("x", (own, 4, 8), 8, True, 0.125, 0)
    y = replace(x, name="y", shape=(own * 8, 4))
    model = one_operator("reshape", [x, y], {"shape": y.shape})
    data = in_an_mpk(of_batch(model, desired))
    read = mpk.read(data)
    size = own * 32
    assert read.actual_batch == 1, "a run is one frame"
    assert [(n.shape, n.size) for n in read.output_nodes] == [(y.shape, 4 * size)]
    assert [(n.shape, n.size) for n in read.input_nodes] == [(x.shape, 4 * size)]
    assert {s.name: s.size for s in read.sections}["ofm.persistent.y_output.b0"] == size
    (program,) = FORMATS["mpk"].unpack(data)
    values = np.arange(size, dtype=np.int8).reshape(x.shape)
    found = simulate(program.command, program.weights, program.host, {"x": values})
    np.testing.assert_array_equal(found.outputs["y"], values.reshape(y.shape))


def test_an_mpk_that_tells_other_sizes_than_its_program_is_refused(tmp_path: Path) -> None:
    source = mpk_packing._source(of_batch(gathered(4), 4), load_recipe("modalix").container)
    (output,) = source.outputs
    path = tmp_path / "net_mpk.sim.tar.gz"
    path.write_bytes(mpk.build(replace(source, outputs=(replace(output, shape=(1, 3)),))))
    with pytest.raises(ModelbuildError, match="output y has 48 bytes, the program's 96"):
        FORMATS["mpk"].unpack(path.read_bytes())
    failed = [check["what"] for check in inspect(path)["checks"] if not check["ok"]]
    assert failed == ["sizes are those of the program's tensors"]
    path.write_bytes(mpk.build(source))
    found = inspect(path)
    assert all(check["ok"] for check in found["checks"])
    (node,) = found["inputs"]
    assert (node["name"], node["shape"], node["frames"], node["size"]) == ("x", [1, 6], 4, 96)


@pytest.mark.parametrize("format_", ["nef", "mpk"])
def test_a_damaged_package_is_refused(format_: str) -> None:
    chip = {"nef": "kl720", "mpk": "modalix"}[format_]
    container = load_recipe(chip).container
    (data,) = FORMATS[format_].pack([packed("a", 40000, chip)], container).values()
    for place in np.linspace(0, len(data) - 1, 40).astype(int):
        broken = bytearray(data)
        broken[place] ^= 0x10
        try:
            (program,) = FORMATS[format_].unpack(bytes(broken))
        except ModelbuildError:
            continue
        assert (
            format_ == "mpk" and program == FORMATS[format_].unpack(data)[0]
        )  # a byte of the archive's frame


def test_the_vendors_program_is_not_run(shared_data: Path) -> None:
    data = (shared_data / "artifacts/nef/kl520_ssd_fd_lm.nef").read_bytes()
    with pytest.raises(ModelbuildError, match="vendor's program"):
        FORMATS["nef"].unpack(data)


@pytest.mark.parametrize("step", [2.0**-7, 1 / (np.float32(1.7) * 2.0**5), 3.5, 1e-4])
def test_scale_and_radix_give_the_step_back(step: float) -> None:
    scale, radix = scale_and_radix(float(step))
    assert 1 <= scale < 2
    assert 1 / (scale * 2.0**radix) == pytest.approx(float(step), rel=1e-15)


def test_firmware_learns_what_it_needs() -> None:
    one = packed("net", 40000, "kl720")
    told = describe(one.program, FORMATS["nef"].describe(one), "00ff", ["a", "b"], False, one.batch)
    assert (told["id"], told["version"], told["silicon"]) == (40000, "00ff", False)
    assert told["labels"] == ["a", "b"]
    assert told["batch"] == {"desired": None, "achieved": 1}
    (given,) = told["inputs"]
    assert given["dtype"] in {"int8", "uint8"} and given["scale"] == 0.125
    form = given["radix_form"]
    assert 1 / (form["scale"] * 2 ** form["radix"]) == given["scale"]


def test_choosing_a_program_by_id_or_name() -> None:
    found = [Program("face", b"", b"", b"", 32769), Program("hand", b"", b"", b"", 32770)]
    assert choose(found, "hand", "f") is found[1]
    assert choose(found, "32769", "f") is found[0]
    assert choose(found, "0x8002", "f") is found[1]
    assert choose(found[:1], None, "f") is found[0]
    with pytest.raises(ModelbuildError, match="holds 2 models"):
        choose(found, None, "f")
    with pytest.raises(ModelbuildError) as caught:
        choose(found, "hamd", "f")
    assert "`hand`" in caught.value.problems[0].advice
