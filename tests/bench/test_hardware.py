"""The bench of programs on the simulator: its figures, what it calls wrong, and going on from a file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from bench import hardware, simulated
from bench.models import fixed_model
from bench.simulated import Measured, least, measured
from modelbuild.chips.load import load_recipe
from modelbuild.errors import ModelbuildError
from modelbuild.npu.compiler import CompiledModel, compile_model
from modelbuild.npu.simulator import Simulation
from modelbuild.stages.hardware_views import PartsOf, Views
from tests.npu.small_models import Maker


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in hardware.ONE_THREAD.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Two convolutions with a pool behind them, and a file that is no model."""
    rng = np.random.default_rng(1)
    weights = {"v": rng.normal(size=(32, 4, 3, 3)), "w": rng.normal(size=(8, 32, 3, 3))}
    nodes = [
        helper.make_node("Conv", ["x", "v"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("MaxPool", ["c"], ["y"], kernel_shape=[2, 2], strides=[2, 2]),
    ]
    ports = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 16, 64])]
    ends = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8, 8, 32])]
    held = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
    made = helper.make_graph(nodes, "small", ports, ends, held)
    opsets = [helper.make_opsetid("", 17)]
    save(helper.make_model(made, opset_imports=opsets, ir_version=8), tmp_path / "small.onnx")
    (tmp_path / "wrong.onnx").write_bytes(b"")
    return tmp_path


def rows(text: str) -> list[list[str]]:
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]


def test_the_table(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = models / "table.md"
    words = ["--models", str(models), "--chips", "kl520", "modalix", "--sram", "1", "1/512", "least"]
    assert hardware.main([*words, "--inputs", "2", "--output", str(written)]) == 0
    text = capsys.readouterr().out
    assert written.read_text(encoding="utf-8") == text
    head, _, kl520, modalix = rows(text)
    assert head[:6] == ["model", "chip", "layers seen", "simulator, ms", "fixed, ms", "1: KB"]
    assert head[-5:] == ["least: KB", "instructions", "cycles", "ratio", "equal"]
    recipe = load_recipe("kl520")
    model = fixed_model(models / "small.onnx", recipe)
    whole, small = (compile_model(model, recipe, {"sram_bytes": size}) for size in (524288, 7168))
    assert kl520[:3] == ["small", "kl520", "3 of 3"] and kl520[-1] == "yes"
    assert (kl520[5], kl520[7]) == ("512", f"{whole.cycles:,}")
    assert kl520[9:13] == ["", "", "", ""]  # a kilobyte is too little
    assert (kl520[13], kl520[15]) == ("7", f"{small.cycles:,}")
    assert modalix[:2] == ["small", "modalix"] and modalix[9] == "70" and modalix[-1] == "yes"
    assert "5 of 5 programs are equal in every bit." in text
    assert "wrong does not compile for kl520, modalix: " in text


def test_layers_are_seen_through_their_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A concat of maps on the chip, a reshape and a slice of it: no tile leaves them."""
    maker = Maker(x=(1, 4, 8, 8))
    maker.conv("a", "x", 4, 3, 1, 1)
    maker.conv("b", "a", 4, 3, 1, 1)
    maker.concat("c", ["a", "b"])
    maker.reshape("r", "c", (1, 8, 1, 64))
    maker.slice("s", "r", (0, 2, 0, 0), (1, 6, 1, 64))
    maker.conv("y", "r", 4)
    maker.conv("z", "s", 4)
    model, recipe = maker.model("y", "z"), load_recipe("modalix")
    found = measured(model, recipe, "1", 1, 1)
    assert (found.seen, found.layers, found.differs) == (7, 7, ())
    monkeypatch.setattr(PartsOf, "views", lambda *_: Views(frozenset(), {}, {}))
    assert measured(model, recipe, "1", 1, 1).seen == 4


def test_the_least_size_is_the_least(models: Path) -> None:
    recipe = load_recipe("kl720")
    model = fixed_model(models / "small.onnx", recipe)
    found = least(model, recipe)
    compile_model(model, recipe, {"sram_bytes": found})
    with pytest.raises(ModelbuildError, match="bytes of SRAM"):
        compile_model(model, recipe, {"sram_bytes": found - simulated.STEP})


def test_nothing_that_compiles_is_an_error(models: Path) -> None:
    assert hardware.main(["--models", str(models), "--names", "wrong"]) == 1


def spoilt(found: Simulation, name: str) -> Simulation:
    """One bit of one layer, and of the output of that name, is another."""
    outputs, layers = ({**values} for values in (found.outputs, found.layers))
    for values in (outputs, layers):
        if name in values:
            values[name] = values[name] ^ np.eye(1, values[name].size, 7, dtype=values[name].dtype).reshape(
                values[name].shape
            )
    return replace(found, outputs=outputs, layers=layers)


@pytest.mark.parametrize("name", ["a", "y", "cycles"])
def test_what_differs_is_named_and_ends_with_1(
    models: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = simulated.simulate

    def simulate(*given: object) -> Simulation:
        found = real(*given)  # type: ignore[arg-type]
        return replace(found, cycles=found.cycles + 1) if name == "cycles" else spoilt(found, named)

    recipe = load_recipe("kl520")
    model = fixed_model(models / "small.onnx", recipe)
    named = model.operators[0].outputs[0] if name == "a" else name
    monkeypatch.setattr(simulated, "simulate", simulate)
    words = ["--models", str(models), "--chips", "kl520", "--sram", "1", "least", "--names", "small"]
    assert hardware.main(words) == 1
    text = capsys.readouterr().out
    told = rows(text)[2][-1]
    assert f"least: {named}" in told and "of 2 programs are equal in every bit." in text


def test_a_later_input_that_differs_is_seen(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = simulated.simulate
    runs: list[int] = []

    def simulate(*given: object) -> Simulation:
        runs.append(1)
        found = real(*given)  # type: ignore[arg-type]
        return spoilt(found, "y") if len(runs) == 4 else found  # the first with its layers

    monkeypatch.setattr(simulated, "simulate", simulate)
    recipe = load_recipe("kl520")
    model = fixed_model(models / "small.onnx", recipe)
    assert measured(model, recipe, "1", 3, 1).differs == ()
    runs.clear()
    assert measured(model, recipe, "1", 4, 1).differs == ("y",)


def test_a_program_that_the_simulator_refuses_is_wrong(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def simulate(*_: object) -> Simulation:
        raise ModelbuildError("reads what was never written")

    monkeypatch.setattr(simulated, "simulate", simulate)
    words = ["--models", str(models), "--chips", "kl720", "--sram", "1", "--names", "small"]
    assert hardware.main(words) == 1
    assert rows(capsys.readouterr().out)[2][-1] == "1: reads what was never written"


def test_a_part_that_does_not_compile_for_another_reason_is_wrong(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = simulated.compile_model

    def compile_one(model: object, recipe: object, options: dict[str, int]) -> CompiledModel:
        if options["sram_bytes"] == 65536:
            raise ModelbuildError("a defect")
        return real(model, recipe, options)  # type: ignore[arg-type]

    monkeypatch.setattr(simulated, "compile_model", compile_one)
    words = ["--models", str(models), "--chips", "kl520", "--sram", "1", "1/8", "--names", "small"]
    assert hardware.main(words) == 1
    assert rows(capsys.readouterr().out)[2][-1] == "1/8: a defect"


def test_a_ratio_above_what_is_allowed_ends_with_1() -> None:
    row = Measured(sram=1, simulator=3.0, fixed=1.0)
    assert not hardware._is_well({("a", "b"): {"1": row}}, 2.9)
    assert hardware._is_well({("a", "b"): {"1": row}}, 3.0)
    assert hardware._is_well({("a", "b"): {"1/8": row}}, 2.9)  # of all of the chip's SRAM alone


def test_rows_that_are_kept_are_not_measured_again(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--models", str(models), "--chips", "kl520", "--names", "small", "--inputs", "1"]
    kept = ["--results", str(models / "rows.json")]
    assert hardware.main([*words, *kept, "--sram", "1"]) == 0
    first = rows(capsys.readouterr().out)[2]
    (models / "rows.json").open("a").write('{"key": "broken o')
    real = hardware.measured
    parts: list[str] = []

    def counted(model: object, recipe: object, part: str, inputs: int, runs: int) -> Measured:
        parts.append(part)
        return real(model, recipe, part, inputs, runs)  # type: ignore[arg-type]

    monkeypatch.setattr(hardware, "measured", counted)
    assert hardware.main([*words, *kept, "--sram", "1", "1/8"]) == 0
    again = rows(capsys.readouterr().out)[2]
    assert parts == ["1/8"] and again[3:9] == first[3:9]
    assert [json.loads(line)["row"]["sram"] for line in (models / "rows.json").read_text().splitlines()] == [
        524288,
        65536,
    ]
    assert hardware.main([*words[:-1], "2", *kept, "--sram", "1"]) == 0
    assert parts == ["1/8", "1"]
    file = models / "small.onnx"
    file.write_bytes(file.read_bytes().replace(b"small", b"large"))
    assert hardware.main([*words, *kept, "--sram", "1"]) == 0
    assert parts == ["1/8", "1", "1"]
