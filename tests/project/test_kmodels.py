"""Targets k210 and nncase-cpu, from manifest to kmodel: built, verified, run, compared, encrypted, locked."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from modelbuild import api
from modelbuild.artifacts.kmodel_runner import open_kmodel
from modelbuild.artifacts.runner import run_real
from modelbuild.cli.main import main
from modelbuild.errors import ModelbuildError
from modelbuild.graph import onnx_io
from modelbuild.graph.session import FloatSession
from modelbuild.project.pack_manifest import ONLY, PackRequest
from modelbuild.project.packing_file import pack
from modelbuild.quantize import fixed_onnx
from modelbuild.stages.files import read_json
from tests.judges import nncase
from tests.project.small_project import write_manifest

SHAPE = (1, 3, 16, 16)
SHAPES = {"moved": [1, 16, 16, 8]}
MANIFEST = """\
samples: {some: {files: "data/*.npy"}}
models: {net: {source: net.onnx, calibration: some, evaluation: some, accept: {snr_db: 20}}}
targets:
  maix: {chip: k210, verify: {hardware: all}}
  any: {chip: nncase-cpu, verify: {hardware: all}}
packages: {p: {targets: [maix, any], models: [net]}}
"""


def write(root: Path, manifest: str = MANIFEST, *, ends_in: str = "") -> Path:
    """Convolutions and a residual sum that the KPU does or reads, means and a product of matrices."""
    draw = np.random.default_rng(5)

    def made(name: str, *shape: int) -> Any:
        return numpy_helper.from_array((draw.standard_normal(shape) / 3).astype(np.float32), name)

    nodes = [
        helper.make_node("Conv", ["image", "w"], ["a"], name="stem", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"], name="relu"),
        helper.make_node("Conv", ["b", "u"], ["c"], name="mix"),
        helper.make_node("Add", ["b", "c"], ["d"], name="residual"),
        helper.make_node("Conv", ["d", "v"], ["e"], name="last", pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["e"], ["f"], name="mean"),
        helper.make_node("Flatten", ["f"], ["scores"], name="flat"),
    ]
    outputs = ["scores"]
    if ends_in == "Softmax":
        nodes.append(helper.make_node("Softmax", ["scores"], ["shares"], name="softmax"))
        outputs = ["shares"]
    if ends_in == "Transpose":
        nodes.append(helper.make_node("Transpose", ["d"], ["moved"], name="move", perm=[0, 2, 3, 1]))
        outputs = ["scores", "moved"]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, list(SHAPE))],
        [
            helper.make_tensor_value_info(
                name, TensorProto.FLOAT, [1, 16, 16, 8] if name == "moved" else [1, 6]
            )
            for name in outputs
        ],
        [made("w", 8, 3, 3, 3), made("u", 8, 8, 1, 1), made("v", 6, 8, 3, 3)],
    )
    root.mkdir(parents=True, exist_ok=True)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save_model(model, root / "net.onnx")
    (root / "data").mkdir()
    for index in range(4):
        np.save(root / f"data/{index}.npy", draw.uniform(-1, 1, SHAPE).astype(np.float32))
    write_manifest(root, manifest)
    return root


@pytest.fixture(scope="module")
def built_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both packages, not to be changed."""
    root = write(tmp_path_factory.mktemp("kmodels") / "project")
    report = api.build(api.open_project(root))
    assert report.ok, report.to_json()["failures"]
    return root


def sample(root: Path, number: int = 0) -> np.ndarray:
    return np.load(root / f"data/{number}.npy")


@pytest.mark.parametrize(
    ("package", "arithmetic", "more"), [("p-maix", "kpu@1", {"net.quant.txt"}), ("p-any", "float32", set())]
)
def test_what_is_shipped(built_once: Path, package: str, arithmetic: str, more: set[str]) -> None:
    folder = built_once / "dist" / package
    assert {path.name for path in folder.iterdir()} == {"net.kmodel", "net.json", "net.fixed.onnx"} | more
    told = read_json(folder / "net.json")
    assert told["silicon"] is True and told["arithmetic"] == arithmetic and told["id"] is None
    (image,), (scores,) = told["inputs"], told["outputs"]
    assert (image["name"], image["dtype"], image["shape"]) == ("image", "float32", list(SHAPE))
    assert (scores["name"], scores["scale"], scores["radix_form"]) == ("scores", None, None)


def test_layers_are_divided_by_the_memory_that_programs_may_use(tmp_path: Path) -> None:
    """Whole, the second and third convolution take 4096 bytes each."""
    maix = "maix: {chip: k210, "
    root = write(tmp_path / "p", MANIFEST.replace(maix, maix + "compile: {sram_bytes: 3072}, "))
    dump = ["--dump", str(tmp_path / "dump")]
    assert main(["-C", str(root), "build", "net@maix", "--jobs", "1", "--until", "compile", *dump]) == 0
    (plan,) = (tmp_path / "dump").rglob("compile.json")
    found = read_json(plan)
    layers = [layer["origin"][0] for layer in found["layers"] if layer["kind"] == "kpu_conv"]
    assert layers == ["stem", "mix", "mix", "last", "last"]
    assert found["memory"]["kpu_ram"] <= 3_072


@pytest.mark.parametrize("package", ["p-maix", "p-any"])
def test_the_bytes_do_what_the_fixed_model_does(built_once: Path, package: str) -> None:
    report = read_json(built_once / "reports" / package / "report.json")
    assert report["package"]["silicon"] is True and report["passed"] is True
    hardware = report["models"][0]["hardware"]
    assert hardware["equal"] is True and hardware["samples"] == 4
    assert hardware["cycles"] is None and hardware["cycles_predicted"] is None
    assert all(one["equal"] for one in (*hardware["layers"], *hardware["outputs"])) and hardware["layers"]


@pytest.mark.parametrize("package", ["p-maix", "p-any"])
def test_the_vendors_simulator_gives_the_same_bytes(built_once: Path, package: str) -> None:
    folder = built_once / "dist" / package
    (judged,) = nncase.run_kmodel((folder / "net.kmodel").read_bytes(), [sample(built_once)])
    runner = open_kmodel(folder / "net.kmodel", (folder / "net.kmodel").read_bytes(), "net")
    found = run_real(runner, {"image": sample(built_once)})["scores"]
    assert judged.tobytes() == found.tobytes()
    exact = FloatSession(onnx_io.read(built_once / "net.onnx")).run({"image": sample(built_once)})["scores"]
    assert np.abs(found - exact).max() < 0.05 * np.abs(exact).max()


@pytest.mark.parametrize(("package", "pair"), [("p-maix", "net@maix"), ("p-any", "net@any")])
def test_a_dump_has_the_code_the_operations_and_the_memory(
    built_once: Path, tmp_path: Path, package: str, pair: str
) -> None:
    """A kmodel is no program of modelbuild's own simulator, whose reader refused it."""
    assert main(["-C", str(built_once), "-q", "build", package, "--dump", str(tmp_path / "out")]) == 0
    folder = tmp_path / "out" / pair / "compile"
    assert (folder / "command.bin").read_bytes() == (built_once / f"dist/{package}/net.kmodel").read_bytes()
    plan = read_json(folder / "compile.json")
    lines = (folder / "operations.txt").read_text(encoding="utf-8").splitlines()
    steps = [line.split()[2] for line in lines if line.startswith("operation ")]
    assert steps == [step["name"] for step in plan["executed"]] and steps
    assert len(lines) == 3 * len(steps) + 1 + len(plan["placements"])
    assert f" total {plan['memory']['total']:,}, " in lines[3 * len(steps)]
    code = (folder / "program.txt").read_text(encoding="utf-8")
    assert ("registers:" in code) is (pair == "net@maix") and "read cleanly by the tables of nncase" in code
    assert not (folder / "tiles.txt").exists()


def test_nodes_on_the_cpu_are_warned_of_by_what_they_take(tmp_path: Path) -> None:
    """Not by where they stand: the mean, whose map is copied, more than a tenth of the time."""
    project = api.open_project(write(tmp_path / "p", ends_in="Softmax"))
    (said,) = api.evaluate_selected(project, ["net@maix"])
    found = api.check(project, ["net@maix"]).findings
    told = {finding["node"]: finding for finding in found if finding["code"] in ("MB103", "MB104")}
    shares = {node: finding["time_ms"] / said["total_ms"] for node, finding in told.items()}
    assert {node: (told[node]["severity"], share > 0.1) for node, share in shares.items()} == {
        "mean": ("warning", True),
        "softmax": ("note", False),
    }


def test_floats_are_those_of_the_source(built_once: Path) -> None:
    """Nothing is quantized on a CPU: no record, no observation, and the SNR of rounding alone."""
    report = read_json(built_once / "reports/p-any/report.json")
    assert report["models"][0]["fidelity"]["outputs"][0]["snr_db"] > 100
    plan = api.open_project(built_once).plan.names()
    assert "net@any:verify_fixed" in plan and "net@maix:quantize" in plan
    assert not plan & {
        f"net@any:{stage}" for stage in ("observe", "quantize", "check_result", "check_calibration")
    }


def test_run_and_compare(built_once: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = built_once / "dist/p-maix"
    names = ["--json", "--input", str(built_once / "data/1.npy")]
    assert main(["-C", str(folder), "run", "net.kmodel", *names]) == 0
    packaged = json.loads(capsys.readouterr().out)["outputs"]
    assert main(["-C", str(built_once), "run", "net@maix", "--level", "hardware", *names]) == 0
    assert json.loads(capsys.readouterr().out)["outputs"] == packaged
    assert packaged[0]["name"] == "scores"
    assert main(["-C", str(folder), "compare", "net.fixed.onnx", "net.kmodel", *names]) == 0
    assert json.loads(capsys.readouterr().out)["equal"] is True


@pytest.mark.parametrize("package", ["p-maix", "p-any"])
def test_each_operation_is_timed(built_once: Path, package: str) -> None:
    """In the report, as the compiler planned it; the times that stand above are of the same operations."""
    report = read_json(built_once / "reports" / package / "report.json")["models"][0]
    plan, predicted = report["memory_plan"], report["performance"]
    steps, times = plan["executed"], plan["times"]
    assert times["time_ms"] == pytest.approx(sum(step["time_ms"] for step in steps))
    assert times["time_ms"] == pytest.approx(predicted["total_ms"])
    assert times["cpu_ms"] > 0 and times["cpu_ms"] == pytest.approx(sum(step["cpu_ms"] for step in steps))
    parts = ("upload_ms", "compute_ms", "weights_ms", "download_ms", "overhead_ms")
    on_kpu = {part for part in parts if times[part] > 0}
    assert on_kpu == (set(parts) if package == "p-maix" else set())
    assert sum(step["cycles"] or 0 for step in steps) == predicted["cycles"]
    assert "MB116" not in {finding["code"] for finding in report["findings"]}
    page = (built_once / "reports" / package / "report.html").read_text(encoding="utf-8")
    assert "Each operation and its time" in page
    assert ("Maps uploaded to the KPU" in page) == (package == "p-maix")
    upload = [step for step in steps if step["name"] == "kpu_upload"]
    assert all(step["bytes"] == 3 * 16 * 16 or step["upload_ms"] > 0 for step in upload)


def test_evaluate_tells_of_the_file_that_is_built(
    built_once: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the report does; by other rates as well; of what would be built otherwise, the outline."""

    def told(*words: str) -> dict[str, Any]:
        assert main(["-C", str(built_once), "evaluate", "net@maix", "--json", *words]) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    report = read_json(built_once / "reports/p-maix/report.json")["models"][0]
    said = told()
    assert said["built"] is True and said["target"] == "maix"
    assert said["total_ms"] == report["performance"]["total_ms"]
    assert said["memory"]["kmodel"] == (built_once / "dist/p-maix/net.kmodel").stat().st_size
    fast = told("--clock", "500e6")
    assert fast["built"] is True and fast["total_ms"] == pytest.approx(said["total_ms"] / 1.25, rel=1e-3)
    assert told("--activations", "uint8")["built"] is False


@pytest.mark.parametrize(("pair", "made"), [("net@maix", "kpu_conv"), ("net@any", "conv")])
def test_layers_are_compared(
    built_once: Path, capsys: pytest.CaptureFixture[str], pair: str, made: str
) -> None:
    """All that operators make, by the fixed model's names, against both other forms."""
    folder = built_once / "dist" / f"p-{pair.partition('@')[2]}"
    fixed = fixed_onnx.read(folder / "net.fixed.onnx")
    inner = {name for operator in fixed.operators for name in operator.outputs} - {"scores"}
    words = ["--json", "--layers", "--input", str(built_once / "data/1.npy")]

    def compared(*names: str) -> dict[str, Any]:
        assert main(["-C", str(built_once), "compare", *names, *words]) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    for names in (
        [pair, "--levels", "fixed,hardware"],
        [str(folder / f"net.{x}") for x in ("fixed.onnx", "kmodel")],
    ):
        found = compared(*names)
        assert {layer["name"] for layer in found["layers"]} == inner and found["equal"]
        assert all(layer["max_abs"] == 0 for layer in found["layers"])
    layers = compared(pair, "--levels", "float,hardware")["layers"]
    assert layers == compared(pair, "--levels", "float,fixed")["layers"]
    assert {"b", "d", "e"} <= {layer["name"] for layer in layers} and made in {
        it.kind for it in fixed.operators
    }
    assert all(layer["snr_db"] > 20 for layer in layers)


def test_without_the_json_names_are_numbers(built_once: Path, tmp_path: Path) -> None:
    data = (built_once / "dist/p-maix/net.kmodel").read_bytes()
    (tmp_path / "x.kmodel").write_bytes(data)
    runner = open_kmodel(tmp_path / "x.kmodel", data, "x")
    assert [port.name for port in (*runner.inputs, *runner.outputs)] == ["input0", "output0"]
    assert set(runner.run({"input0": sample(built_once)})) == {"output0"} and not runner.notes
    assert set(runner.run({"input0": sample(built_once)}, layers=True)) == {"output0"}
    assert "no names" in runner.notes[0]


def test_a_json_of_another_model(built_once: Path, tmp_path: Path) -> None:
    shutil.copy(built_once / "dist/p-maix/net.kmodel", tmp_path)
    told = read_json(built_once / "dist/p-maix/net.json")
    told["outputs"][0]["shape"] = [1, 7]
    (tmp_path / "net.json").write_text(json.dumps(told))
    data = (tmp_path / "net.kmodel").read_bytes()
    with pytest.raises(ModelbuildError, match="tells other outputs than it has"):
        open_kmodel(tmp_path / "net.kmodel", data, "net")
    told = read_json(built_once / "dist/p-maix/net.json")
    steps = json.loads(told["metadata"]["operations"])
    told["metadata"]["operations"] = json.dumps({**steps, "steps": steps["steps"][1:]})
    (tmp_path / "net.json").write_text(json.dumps(told))
    runner = open_kmodel(tmp_path / "net.kmodel", data, "net")
    assert set(runner.run({"image": sample(built_once)})) == {"scores"}
    with pytest.raises(ModelbuildError, match="other operations than the compiler planned, from number 0"):
        runner.run({"image": sample(built_once)}, layers=True)
    (tmp_path / "net.json").write_text("[1, 2]")  # a file of the user's own
    assert open_kmodel(tmp_path / "net.kmodel", data, "net").inputs[0].name == "input0"


def test_functions_with_other_last_bits(tmp_path: Path) -> None:
    """Behind a Softmax outputs need not be equal in every bit; they are compared all the same."""
    root = write(tmp_path / "project", ends_in="Softmax")
    assert api.build(api.open_project(root), ["p-maix"]).ok
    hardware = read_json(root / "reports/p-maix/report.json")["models"][0]["hardware"]
    assert hardware["equal"] is True and hardware["outputs"][0]["within"] == 1e-5
    assert any(layer["within"] is None for layer in hardware["layers"])
    (judged,) = nncase.run_kmodel((root / "dist/p-maix/net.kmodel").read_bytes(), [sample(root)])
    fixed = fixed_onnx.read(root / "dist/p-maix/net.fixed.onnx")
    assert judged.shape == fixed.tensors["shares"].shape
    found = api.run(root / "dist/p-maix/net.kmodel", str(root / "data/0.npy")).outputs["shares"]
    np.testing.assert_allclose(judged, found, atol=1e-5 * float(np.ptp(found)))


def test_functions_that_move_floats(tmp_path: Path) -> None:
    """They call them integers of as many bits."""
    root = write(tmp_path / "project", ends_in="Transpose")
    assert api.build(api.open_project(root)).ok
    for package in ("p-maix", "p-any"):
        hardware = read_json(root / f"reports/{package}/report.json")["models"][0]["hardware"]
        assert hardware["equal"] is True and [one["name"] for one in hardware["outputs"]] == [
            "scores",
            "moved",
        ]


def test_encrypted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = MANIFEST.replace(
        "models: [net]", "models: [net], encrypt: {mode: 2, efuse_key: env:MB_TEST_EFUSE}"
    )
    monkeypatch.setenv("MB_TEST_EFUSE", "5eedBeefCafeD00d0102030405060708")
    root = write(tmp_path / "project", secret)
    assert api.build(api.open_project(root), ["p-maix"]).ok
    folder = root / "dist/p-maix"
    assert {path.name for path in folder.iterdir()} == {"net.kmodel.enc", "net.json"}
    assert "operations" not in read_json(folder / "net.json")["metadata"]  # they tell of its layers
    keys = {"efuse_key": "env:MB_TEST_EFUSE"}
    found = api.run(folder / "net.kmodel.enc", str(root / "data/0.npy"), keys=keys).outputs
    plain = api.run_opened(
        api.open_form(api.open_project(root), "net@maix", "fixed"), str(root / "data/0.npy")
    )
    np.testing.assert_array_equal(found["scores"], plain.outputs["scores"])


def test_locked(tmp_path: Path) -> None:
    root = write(tmp_path / "project")
    assert api.lock(api.open_project(root)).build.ok
    locked = json.loads((root / "modelbuild.lock").read_bytes())["models"]
    records = {name: {path.rpartition("/")[2] for path in entry["records"]} for name, entry in locked.items()}
    assert records == {"net@maix": {"quant.txt", "measurements.json"}, "net@any": {"measurements.json"}}
    assert api.check_lock(api.open_project(root)) == []
    shutil.rmtree(root / "data")
    shutil.rmtree(root / "dist")
    assert main(["-C", str(root), "build", "--locked"]) == 0
    assert (root / "dist/p-any/net.kmodel").is_file()


@pytest.mark.parametrize(
    ("target", "setting", "what"),
    [
        ("maix", "tiling: deep", "`tiling: deep` is not possible on k210"),
        ("maix", "batch: 4", "`batch: 4` is not possible on k210"),
        ("maix", "weight_compress: true", "`weight_compress: true` is not possible on k210"),
        (
            "maix",
            "dedicated_output_buffer: false",
            "`dedicated_output_buffer: false` is not possible on k210",
        ),
        ("maix", "flatbuffer: true", "`flatbuffer: true` is not possible on k210"),
        ("any", "sram_bytes: 4096", "`sram_bytes: 4096` is not possible on nncase-cpu"),
    ],
)
def test_settings_that_make_no_sense(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], target: str, setting: str, what: str
) -> None:
    text = MANIFEST.replace(f"  {target}: {{", f"  {target}: {{compile: {{{setting}}}, ")
    root = write(tmp_path / "project", text)
    assert main(["-C", str(root), "check"]) == 2
    said = capsys.readouterr().err
    assert what in said and "remove it" in said


def test_defaults_written_out_are_no_settings(tmp_path: Path) -> None:
    text = MANIFEST.replace(
        "{chip: k210,", "{chip: k210, compile: {tiling: default, weight_compress: false, batch: 1},"
    )
    assert api.open_project(write(tmp_path / "project", text)).plan.names()


@pytest.mark.parametrize(
    "quantize", ["{activations: float32}", "none", "{activations: float32, weights: float32}"]
)
def test_floats_asked_for_by_name(tmp_path: Path, quantize: str) -> None:
    """Of a chip that has nothing else: no samples are needed."""
    text = MANIFEST.replace("{chip: nncase-cpu,", f"{{chip: nncase-cpu, quantize: {quantize},")
    text = text.replace(
        "calibration: some, evaluation: some, accept: {snr_db: 20}", "targets: {maix: {calibration: some}}"
    )
    root = write(tmp_path / "project", text)
    assert api.build(api.open_project(root), ["p-any"]).ok
    assert (root / "dist/p-any/net.kmodel").is_file()


def test_a_record_says_nothing_of_floats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = MANIFEST.replace("{chip: nncase-cpu,", "{chip: nncase-cpu, quantize: {record: a.quant.txt},")
    root = write(tmp_path / "project", text)
    (root / "a.quant.txt").write_text("")
    assert main(["-C", str(root), "check"]) == 2
    assert "`record` has no effect on nncase-cpu" in capsys.readouterr().err


def test_less_of_the_kpus_memory(built_once: Path, tmp_path: Path) -> None:
    """The chain is cut, which is told, and no value changes."""
    text = MANIFEST.replace("{chip: k210,", "{chip: k210, compile: {sram_bytes: 5120},")
    root = write(tmp_path / "project", text)
    report = api.build(api.open_project(root), ["p-maix"])
    assert report.ok, report.to_json()["failures"]
    source = str(root / "data/0.npy")
    told = read_json(root / "reports/p-maix/report.json")["models"][0]
    assert told["performance"]["memory"]["sram"] == 5120
    few, all_ = (api.run(folder / "dist/p-maix/net.kmodel", source) for folder in (root, built_once))
    np.testing.assert_array_equal(few.outputs["scores"], all_.outputs["scores"])


def test_a_packed_kmodel_has_its_names_and_preprocessing_beside_it(tmp_path: Path) -> None:
    root = write(tmp_path / "p")
    told = {"resize": "stretch", "scale": -1, "mean": -255}
    request = PackRequest("net.onnx", "k210", root, ["data/*.npy"], {ONLY: told})
    (root / "m.json").write_text('{"a file": "of the user\'s own"}', encoding="utf-8")
    with pytest.raises(ModelbuildError, match=r"m\.json lies where the names"):
        pack(request, root / "m.kmodel", cache=root / "cache")
    (root / "m.json").unlink()
    packed = pack(request, root / "m.kmodel", cache=root / "cache")
    assert packed.description == root / "m.json"
    runner = open_kmodel(root / "m.kmodel", (root / "m.kmodel").read_bytes(), "m")
    assert [port.name for port in runner.inputs] == ["image"]
    assert (runner.preprocess["image"].scale, runner.preprocess["image"].mean) == (-1, -255)
    assert (
        pack(request, root / "m.kmodel", cache=root / "cache").sha256 == packed.sha256
    )  # its own is replaced
    (root / "m.json").unlink()
    with pytest.raises(ModelbuildError, match="no pack has written"):
        pack(request, root / "m.kmodel", cache=root / "cache")


def test_a_kmodel_without_its_json_says_that_pictures_went_in_as_they_are(
    built_once: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(built_once / "dist/p-maix/net.kmodel", tmp_path / "net.kmodel")
    Image.new("RGB", SHAPE[2:], (255, 0, 128)).save(tmp_path / "a.png")
    run = ["-C", str(tmp_path), "run", "net.kmodel", "--input", "a.png"]
    assert main(run) == 0
    assert "pictures went in as 0..255" in capsys.readouterr().err
    assert main([*run, "--preprocess", "{scale: 0.00392}"]) == 0
    assert "0..255" not in capsys.readouterr().err
    shutil.copy(built_once / "dist/p-maix/net.json", tmp_path / "net.json")
    assert main([*run, "--preprocess", "{scale: 0.00392}"]) == 2
    assert "net.json beside it tells it" in capsys.readouterr().err


def test_damage_is_told_with_the_file(built_once: Path, tmp_path: Path) -> None:
    data = (built_once / "dist/p-maix/net.kmodel").read_bytes()
    (tmp_path / "cut.kmodel").write_bytes(data[:1500])
    with pytest.raises(ModelbuildError) as caught:
        api.open_file(tmp_path / "cut.kmodel")
    assert caught.value.problems[0].where.startswith(f"{tmp_path / 'cut.kmodel'}: ")
    (tmp_path / "short.kmodel").write_bytes(data[:16])
    with pytest.raises(ModelbuildError, match=r"bytes are expected here, of which \d+ are there"):
        api.open_file(tmp_path / "short.kmodel")


def test_more_than_the_general_ram_is_told_before_anything_is_observed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The input takes 3.7 MB, and the maps of the first layer, which the KPU's RAM does not hold, more."""
    root = write(tmp_path / "p", MANIFEST.replace(", accept: {snr_db: 20}", ""))
    model = onnx.load(root / "net.onnx")
    for axis, size in ((2, 480), (3, 640)):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = size
    onnx.save_model(model, root / "net.onnx")
    for index in range(4):
        np.save(root / f"data/{index}.npy", np.full((1, 3, 480, 640), index / 4, np.float32))
    assert main(["-C", str(root), "build", "net@maix", "--jobs", "1", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    (failure,) = report["failures"]
    assert "bytes of general RAM or more; k210 has 6,291,456" in failure["message"]
    assert "MB119" in failure["message"]
    assert failure["action"] == "net@maix:observe"
    assert main(["-C", str(root), "evaluate", "net@maix", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["fits"] is False


def test_names_that_are_asked_for_stand_in_the_file_that_is_missing(
    built_once: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(built_once / "dist/p-maix/net.kmodel", tmp_path / "net.kmodel")
    np.savez(tmp_path / "x.npz", image=sample(built_once))
    assert main(["-C", str(tmp_path), "run", "net.kmodel", "--input", "x.npz"]) == 2
    said = capsys.readouterr().err
    assert "no array called input0" in said and "put net.json beside net.kmodel" in said
    shutil.copy(built_once / "dist/p-maix/net.json", tmp_path / "net.json")
    assert main(["-C", str(tmp_path), "run", "net.kmodel", "--input", "x.npz"]) == 0
    np.savez(tmp_path / "x.npz", other=sample(built_once))
    assert main(["-C", str(tmp_path), "run", "net.kmodel", "--input", "x.npz"]) == 2
    assert "net.json" not in capsys.readouterr().err.partition("do:")[2]


def test_a_package_that_failed_its_gate_is_told_where_its_file_is_missed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write(tmp_path / "p", MANIFEST.replace("snr_db: 20", "snr_db: 90, fps: 1"))
    run = ["-C", str(root), "run", "dist/p-maix/net.kmodel", "--input", "data/0.npy"]
    assert main(run) == 2
    said = capsys.readouterr().err
    assert "is not built" in said and "`modelbuild build p-maix` puts its files there" in said
    assert not api.build(api.open_project(root), ["p-maix"]).ok
    assert main(run) == 2
    said = capsys.readouterr().err
    assert "failed its gate at the last build" in said and "net@maix --level hardware" in said
