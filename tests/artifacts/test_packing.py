"""Programs into containers and back: the simulator gets exactly the bytes that went in."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from modelbuild.artifacts.firmware import describe
from modelbuild.artifacts.packing import FORMATS, PackedProgram, Program
from modelbuild.artifacts.packing.nef import scale_and_radix
from modelbuild.artifacts.programs import choose
from modelbuild.chips.load import load_recipe
from modelbuild.errors import ModelbuildError
from modelbuild.formats import nef
from modelbuild.formats.nef_tensor import layout_bytes
from modelbuild.npu.compiler import compile_model
from tests.arithmetic.dice import Dice
from tests.arithmetic.random_models import BUILDERS

CHIPS = ("kl520", "kl530", "kl630", "kl720", "kl730", "mlsoc", "modalix")


def packed(name: str, id: int | None, chip: str, kind: str = "conv", unit: str = "npu") -> PackedProgram:
    """A random operator, compiled."""
    model = BUILDERS[kind](Dice(len(name)))
    operators = tuple(replace(operator, unit=unit) for operator in model.operators)
    compiled = compile_model(replace(model, name=name, operators=operators), load_recipe(chip), {})
    plan = {
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
    nef, mpk = load_recipe("kl720").container, load_recipe("mlsoc").container
    assert list(FORMATS["nef"].pack([packed("a", 40000, "kl720")], nef)) == ["models_720.sim.nef"]
    assert list(FORMATS["mpk"].pack([packed("a", None, "mlsoc")], mpk)) == ["a_mpk.sim.tar.gz"]


@pytest.mark.parametrize("chip", [chip for chip in CHIPS if chip.startswith("kl")])
def test_a_nef_declares_the_room_that_its_layouts_take(chip: str) -> None:
    container = load_recipe(chip).container
    (data,) = FORMATS["nef"].pack([packed("a", 40000, chip)], container).values()
    (model,) = nef.read(data).models
    for tensors, region in ((model.inputs, "input"), (model.outputs, "output")):
        taken = [layout_bytes(container.platform, tensor.format, tensor.shape) for tensor in tensors]
        assert all(tensor.size >= size for tensor, size in zip(tensors, taken, strict=True))
        assert model.regions is None or getattr(model.regions, region).size >= sum(taken)


def test_a_nef_needs_ids_and_room_in_flash() -> None:
    container = load_recipe("kl520").container
    with pytest.raises(ModelbuildError, match="has no id"):
        FORMATS["nef"].pack([packed("a", None, "kl520")], container)
    small = container.model_copy(update={"max_package_bytes": 100})
    with pytest.raises(ModelbuildError, match="the chip takes 100"):
        FORMATS["nef"].pack([packed("a", 40000, "kl520")], small)


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
    told = describe(one.program, "00ff", ["a", "b"], False)
    assert (told["id"], told["version"], told["silicon"]) == (40000, "00ff", False)
    assert told["labels"] == ["a", "b"]
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
