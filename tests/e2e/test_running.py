"""run, compare, evaluate, inspect, chips, init, schema: through the real command and from Python."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from modelbuild import api
from tests.e2e.command import REPOSITORY, called, modelbuild

NEF = "dist/digits-kl720/models_720.sim.nef"
MPK = "dist/digits-modalix/digits_mpk.sim.tar.gz"
FIXED = "dist/digits-kl720/digits.fixed.onnx"


def labelled(folder: Path) -> tuple[str, int]:
    """A test picture and its label."""
    path, label = (folder / "data/test.txt").read_text(encoding="utf-8").splitlines()[7].split()
    found = next(p for p in (folder / "data" / path, folder / path) if p.is_file())
    return found.relative_to(folder).as_posix(), int(label)


@pytest.mark.parametrize("what", [NEF, MPK, FIXED, "digits@kl520", "digits@modalix"])
def test_run_recognises_a_digit(built_once: Path, what: str, tmp_path: Path) -> None:
    picture, label = labelled(built_once)
    output = tmp_path / "out.npz"
    done = called(built_once, "run", what, "--input", picture, "-o", str(output), "--json")
    assert done.code == 0, done.err
    (summary,) = done.json["outputs"]
    assert summary["name"] == "probabilities" and summary["shape"] == [1, 10]
    with np.load(output) as arrays:
        assert int(arrays["probabilities"].argmax()) == label
        assert summary["max"] == pytest.approx(float(arrays["probabilities"].max()))


def test_run_onnx_takes_preprocessing_by_hand(built_once: Path) -> None:
    picture, label = labelled(built_once)
    settings = "{resize: stretch, colour: gray, mean: 127.5, std: 127.5}"
    done = modelbuild(
        built_once, "run", "models/digits.onnx", "--input", picture, "--preprocess", f"image={settings}"
    )
    assert done.code == 0, done.err
    assert f"largest: [{label}]" in done.out
    alone = modelbuild(built_once, "run", "models/digits.onnx", "--input", picture, "--preprocess", settings)
    assert alone.code == 0 and f"largest: [{label}]" in alone.out


def test_raw_integers_in_and_out_agree_between_fixed_and_hardware(built_once: Path, tmp_path: Path) -> None:
    integers = np.random.default_rng(3).integers(-128, 128, (1, 1, 16, 16)).astype(np.int8)
    np.save(tmp_path / "x.npy", integers)
    found = []
    for what in (FIXED, NEF):
        out = tmp_path / "o.npz"
        arguments = ("run", what, "--raw", "--input", str(tmp_path / "x.npy"), "-o", str(out))
        assert called(built_once, *arguments).code == 0
        with np.load(out) as arrays:
            found.append(arrays["probabilities"])
    assert found[0].dtype == np.int8 and np.array_equal(found[0], found[1])
    picture, _ = labelled(built_once)
    assert called(built_once, "run", NEF, "--raw", "--input", picture).code == 2


def test_a_sample_set_by_name_and_a_folder(built_once: Path) -> None:
    by_name = called(built_once, "run", "digits@kl720", "--input", "calibration", "--json")
    by_folder = called(built_once, "run", FIXED, "--input", "data/calibration", "--json")
    assert by_name.json["samples"] == by_folder.json["samples"] == 64
    assert by_name.json["outputs"] == by_folder.json["outputs"]


def test_compare_the_forms_of_a_model(built_once: Path) -> None:
    picture, _ = labelled(built_once)
    exact = modelbuild(
        built_once,
        "compare",
        "digits@kl720",
        "--levels",
        "fixed,hardware",
        "--input",
        "calibration",
        "--layers",
        "--json",
    )
    assert exact.code == 0, exact.err
    assert exact.json["equal"] is True and exact.json["samples"] == 64
    assert len(exact.json["layers"]) > 8 and all(layer["max_abs"] == 0 for layer in exact.json["layers"])
    near = called(built_once, "compare", "digits@kl720", "--input", picture, "--layers", "--json").json
    assert near["equal"] is False and near["outputs"][0]["snr_db"] > 25
    other = called(built_once, "compare", FIXED, NEF, "--input", picture, "--json")
    assert other.json["equal"] is True


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("run", NEF), "--input"),
        (("run", NEF, "--input", "nothing.png"), "nothing.png"),
        (("run", NEF, "--input", "data/test/*.png", "--model", "7"), "holds no model `7`"),
        (("run", "models.yaml", "--input", "data/test"), "no kind of file that modelbuild knows"),
        (("run", "missing.nef", "--input", "data/test"), "missing.nef"),
        (("run", NEF, "--input", "imag=data/test"), "did you mean `image`"),
        (("run", "digits@kl270", "--input", "test"), "kl270"),
        (("compare", NEF, "--input", "data/test"), "compare with what"),
        (("evaluate", "models/digits.onnx"), "which chip"),
        (("evaluate", "models/digits.onnx", "--chip", "kl521"), "kl520"),
        (("inspect", "missing.nef"), "missing.nef"),
        (("run", NEF, "--input", "data/test", "-o", "x.txt"), ".npz"),
        (("biuld",), "did you mean `build`"),
        (("build", "--jobz"), "--jobz"),
    ],
)
def test_wrong_arguments_exit_2_with_one_message(
    built_once: Path, arguments: tuple[str, ...], says: str
) -> None:
    done = called(built_once, *arguments)
    assert done.code == 2 and says in done.err, done.err
    assert done.out == ""


def test_evaluate_a_file(built_once: Path) -> None:
    done = modelbuild(built_once, "evaluate", "models/digits.onnx", "--chip", "kl720", "--json")
    found = done.json
    wanted = (
        "model chip fps npu_fps time_ms cpu_time_ms total_ms confidence cycles macs cpu_nodes memory layers"
    )
    assert set(wanted.split()) <= set(found)
    assert found["npu_fps"] == pytest.approx(1000 / found["time_ms"])
    assert found["fps"] == pytest.approx(1000 / found["total_ms"])
    assert [node["op"] for node in found["cpu_nodes"]] == ["Softmax"]
    keys = "name origin unit macs cycles time_ms dram_read dram_write weights bound"
    assert all(set(keys.split()) <= set(layer) for layer in found["layers"])
    slow = called(built_once, "evaluate", "models/digits.onnx", "--chip", "kl720", "--clock", "1e6", "--json")
    assert slow.json["time_ms"] > found["time_ms"]


@pytest.mark.parametrize("what", [NEF, MPK, FIXED, "models/digits.onnx"])
def test_inspect(built_once: Path, what: str) -> None:
    found = called(built_once, "inspect", what, "--json").json
    assert {"format", "version", "size", "silicon", "checksums", "models"} <= set(found)
    assert found["size"] == (built_once / what).stat().st_size
    assert all(item["ok"] for item in found["checksums"])
    assert found["silicon"] is (False if what in (NEF, MPK) else None)  # packages only
    text = called(built_once, "inspect", what)
    assert text.code == 0 and "probabilities" in text.out


def test_inspect_says_1_where_a_checksum_is_wrong(built_once: Path, tmp_path: Path) -> None:
    data = bytearray((built_once / NEF).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "bad.nef").write_bytes(bytes(data))
    done = modelbuild(tmp_path, "inspect", "bad.nef", "--json")
    assert done.code == 1 and not all(item["ok"] for item in done.json["checksums"])
    refused = called(built_once, "run", str(tmp_path / "bad.nef"), "--input", "data/test")
    assert refused.code == 2 and "checksum" in refused.err


def test_chips_and_schema(tmp_path: Path) -> None:
    listed = modelbuild(tmp_path, "chips", "--json").json["chips"]
    kneron = {"kl520", "kl530", "kl630", "kl720", "kl730"}
    assert {*kneron, "mlsoc", "modalix", "k210", "nncase-cpu"} == {c["chip"] for c in listed}
    one = modelbuild(tmp_path, "chips", "kl720", "--json").json
    published = [fact for fact in one["hardware"].values() if fact is not None]  # no power is
    assert len(published) > 20 and all(fact["source"] and fact["sure"] for fact in published)
    schema = modelbuild(tmp_path, "schema").out
    assert json.loads(schema) == json.loads((REPOSITORY / "models.schema.json").read_bytes())


def test_init_writes_a_manifest_that_builds(built_once: Path, tmp_path: Path) -> None:
    shutil.copytree(built_once / "data/calibration", tmp_path / "img")
    shutil.copy(built_once / "models/digits.onnx", tmp_path / "net.onnx")
    done = modelbuild(
        tmp_path, "init", "net.onnx", "--chip", "kl720", "--chip", "modalix", "--samples", "img/*.png"
    )
    assert done.code == 0, done.err
    again = called(tmp_path, "init", "net.onnx", "--chip", "kl720")
    assert again.code == 2 and again.err.startswith("error: models.yaml: there is a manifest already")
    assert "#" in (tmp_path / "models.yaml").read_text(encoding="utf-8")
    assert (tmp_path / ".gitignore").read_text(encoding="utf-8").split() == [
        ".modelbuild/",
        "dist/",
        "reports/",
    ]
    built = called(tmp_path, "build", "--json")
    assert built.code == 0, built.err
    assert {package["name"] for package in built.json["packages"]} == {"net-kl720", "net-modalix"}


def test_the_same_from_python(built_once: Path) -> None:
    project = api.open_project(built_once)
    report = api.build(project)
    assert report.ok and report.to_json() == called(built_once, "build", "--json").json
    picture, label = labelled(built_once)
    found = api.run(built_once / NEF, [str(built_once / picture)])
    assert int(found.outputs["probabilities"].argmax()) == label
    compared = api.compare(
        api.open_file(built_once / FIXED), api.open_file(built_once / NEF), [str(built_once / picture)]
    )
    assert compared.equal is True
    assert api.inspect(built_once / NEF) == called(built_once, "inspect", NEF, "--json").json
    evaluated = api.evaluate(built_once / "models/digits.onnx", "kl720")
    printed = called(built_once, "evaluate", "models/digits.onnx", "--chip", "kl720", "--json").json
    assert json.loads(json.dumps(evaluated)) == printed
    assert api.check(project).to_json() == called(built_once, "check", "--json").json


def test_a_fixed_model_is_a_source(built_once: Path, tmp_path: Path) -> None:
    shutil.copy(built_once / FIXED, tmp_path / "digits.fixed.onnx")
    manifest = """\
modelbuild: 1
models: {digits: {source: digits.fixed.onnx}}
targets: {cam: {chip: CHIP}}
packages: {p: {target: cam, models: {digits: {id: 32769, version: "0001"}}}}
"""
    (tmp_path / "models.yaml").write_text(manifest.replace("CHIP", "kl720"), encoding="utf-8")
    done = called(tmp_path, "build", "--json")
    assert done.code == 0, done.err
    first = (tmp_path / "dist/p/models_720.sim.nef").read_bytes()
    assert first == (built_once / NEF).read_bytes()
    (tmp_path / "models.yaml").write_text(manifest.replace("CHIP", "modalix"), encoding="utf-8")
    other = called(tmp_path, "build")
    assert other.code == 2 and "kl720" in other.err and "modalix" in other.err


def test_wrong_usage_is_json_too(tmp_path: Path) -> None:
    for arguments in (("run", "--json"), ("frob", "--json")):
        done = modelbuild(tmp_path, *arguments)
        assert done.code == 2 and done.json["ok"] is False
        assert done.json["error"]["problems"][0]["what"] in done.err


def test_names_beyond_ascii_work_where_the_locale_knows_none(digits: Path) -> None:
    (digits / "models/digits.onnx").rename(digits / "models/zähler.onnx")
    manifest = digits / "models.yaml"
    text = manifest.read_text(encoding="utf-8").replace("digits.onnx", "zähler.onnx")
    manifest.write_text(text, encoding="utf-8")
    plain = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
    done = modelbuild(digits, "build", "digits@kl720", "--until", "lower", "--json", environment=plain)
    assert done.code == 0, done.err
    assert done.json["actions"]["run"] == 3


def test_init_takes_the_samples_that_lie_there(built_once: Path, tmp_path: Path) -> None:
    shutil.copytree(built_once / "data/calibration", tmp_path / "samples")
    shutil.copy(built_once / "models/digits.onnx", tmp_path / "net.onnx")
    started = called(tmp_path, "init", "net.onnx", "--chip", "kl720", "--json")
    assert started.code == 0 and started.json["missing"] == []
    built = called(tmp_path, "build", "--until", "observe", "--json")
    assert built.code == 0, built.err
