"""What is read by folder and glob: each way in which it may change, and which stages run again."""

from __future__ import annotations

import json
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.e2e.command import Done, called
from tests.stages.golden import write_project

MANIFEST = """\
modelbuild: 1
samples: {integers: {files: "FILES"}, judged: {files: "judged/**/*.npy", labels: judged/labels.txt}}
include: parts/*.yaml
models:
  small: {source: small.onnx, calibration: integers, evaluation: judged, accept: {top1_drop: 1}}
targets: {cam: {chip: ./recipes/cam.yaml}}
packages: {cam: {target: cam, models: [small]}}
"""
OBSERVED = {"observe", "quantize"}  # what the calibration samples decide
NAMING = {"check_calibration"}  # tells of samples by their names
ABOUT_THE_MODEL = {"import_source", "normalise", "lower", "check", "evaluate"}


@pytest.fixture(scope="module")
def built_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("once") / "project"
    root.mkdir()
    write_project(root)
    (root / "judged/deep").mkdir(parents=True)
    for index in (5, 6, 7):
        (root / f"data/{index}.npy").rename(root / f"judged/deep/{index}.npy")
    (root / "judged/labels.txt").write_text("deep/5.npy 0\ndeep/6.npy 1\ndeep/7.npy 2\n")
    for name in ("parts", "recipes"):
        (root / name).mkdir()
    (root / "parts/one.yaml").write_text("targets: {eye: {chip: modalix}}\n")
    (root / "recipes/base.yaml").write_text("chip: base\nextends: modalix\n")
    (root / "recipes/cam.yaml").write_text("chip: cam\nextends: ./base.yaml\n")
    (root / "models.yaml").write_text(MANIFEST.replace("FILES", "data/*.npy"))
    assert ran(root) >= OBSERVED | ABOUT_THE_MODEL
    return root


@pytest.fixture
def built(built_once: Path, tmp_path: Path) -> Path:
    """A built copy."""
    folder = tmp_path / "project"
    shutil.copytree(built_once, folder, symlinks=True)
    return folder


@pytest.fixture
def by_folder(built: Path) -> Path:
    """The same with the folder for the glob, which is no change."""
    (built / "models.yaml").write_text(MANIFEST.replace("FILES", "data"))
    assert ran(built) == set()
    return built


def ran(folder: Path) -> set[str]:
    """The stages that a build ran; the build after it runs nothing."""
    build(folder, 0)
    lines = (folder / "events").read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    found = {
        event["stage"] for event in events if event["event"] == "action_finished" and event["state"] == "run"
    }
    assert called(folder, "build", "--json").json["actions"]["run"] == 0
    return found


def build(folder: Path, code: int) -> Done:
    done = called(folder, "build", "--events", "events")
    assert done.code == code, done.err
    return done


def sample(path: Path, seed: int) -> None:
    draw = np.random.Generator(np.random.PCG64(seed))
    np.save(path, draw.integers(-9, 10, (1, 3, 8, 8)).astype(np.float32))


def test_a_new_file_that_matches(built: Path) -> None:
    sample(built / "data/9.npy", 9)
    found = ran(built)
    assert found >= OBSERVED
    assert not found & ABOUT_THE_MODEL


def test_a_new_file_in_a_folder_of_samples(by_folder: Path) -> None:
    sample(by_folder / "data/9.npy", 9)
    assert ran(by_folder) >= OBSERVED


def test_a_file_removed(built: Path) -> None:
    (built / "data/4.npy").unlink()
    found = ran(built)
    assert "observe" in found
    assert not found & ABOUT_THE_MODEL


def test_a_file_renamed_in_its_place_is_the_same_sample(built: Path) -> None:
    (built / "data/4.npy").rename(built / "data/45.npy")
    assert ran(built) == NAMING


def test_a_file_renamed_to_another_place_is_another_order(built: Path) -> None:
    (built / "data/4.npy").rename(built / "data/00.npy")
    found = ran(built)
    assert "observe" in found
    assert not found & ABOUT_THE_MODEL


def test_a_file_that_does_not_match(built: Path) -> None:
    (built / "data/9.npyx").write_bytes((built / "data/1.npy").read_bytes())
    sample(built / "data/.9.npy", 9)
    (built / "data/more.npy").mkdir()
    assert ran(built) == set()


def test_hidden_files_of_a_folder(by_folder: Path) -> None:
    sample(by_folder / "data/._4.npy", 9)
    (by_folder / "data/notes.txt").write_text("n")
    assert ran(by_folder) == set()


@pytest.mark.parametrize("same", [True, False])
def test_a_folder_that_becomes_a_link(built: Path, same: bool) -> None:
    (built / "data").rename(built / "elsewhere")
    if not same:
        sample(built / "elsewhere/2.npy", 9)
    (built / "data").symlink_to("elsewhere")
    assert bool(ran(built) & OBSERVED) is not same


def test_a_link_that_leads_elsewhere_now(built: Path) -> None:
    (built / "data/2.npy").rename(built / "two.npy")
    (built / "data/2.npy").symlink_to("../two.npy")
    assert ran(built) == set()
    sample(built / "three.npy", 3)
    (built / "data/2.npy").unlink()
    (built / "data/2.npy").symlink_to("../three.npy")
    assert "observe" in ran(built)


@pytest.mark.parametrize("project", ["built", "by_folder"])
def test_a_link_that_leads_nowhere_stops_the_build(project: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(project)
    (folder / "data/9.npy").symlink_to("../gone.npy")
    refused = build(folder, 2)
    assert "the sample 9.npy is a link that leads nowhere" in refused.err
    assert "models.yaml:2:29: " in refused.err
    sample(folder / "gone.npy", 9)
    assert "observe" in ran(folder)


def test_folders_below_are_looked_into(built: Path) -> None:
    (built / "judged/new/deeper").mkdir(parents=True)
    assert ran(built) == set()
    sample(built / "judged/new/deeper/8.npy", 8)
    assert "no label" in build(built, 2).err
    labels = built / "judged/labels.txt"
    labels.write_text(labels.read_text() + "new/deeper/8.npy 3\n")
    found = ran(built)
    assert "verify_fixed" in found
    assert not found & (OBSERVED | ABOUT_THE_MODEL)


def test_links_that_lead_round_are_no_new_samples(built: Path) -> None:
    (built / "judged/deep/round").symlink_to("..")
    assert ran(built) == set()


def test_another_label(built: Path) -> None:
    labels = built / "judged/labels.txt"
    labels.write_text(labels.read_text().replace("7.npy 2", "7.npy 3"))
    found = ran(built)
    assert "verify_fixed" in found
    assert not found & (OBSERVED | ABOUT_THE_MODEL | {"apply", "compile", "package"})


def test_labels_in_another_order_are_the_same(built: Path) -> None:
    labels = built / "judged/labels.txt"
    labels.write_text("".join(reversed(labels.read_text().splitlines(keepends=True))))
    assert ran(built) == set()


def test_names_composed_and_decomposed(built: Path) -> None:
    """Two spellings that look alike are two names; which of them a file has decides its place, no more."""
    composed = unicodedata.normalize("NFC", "é4.npy")
    decomposed = unicodedata.normalize("NFD", composed)
    (built / "data/4.npy").rename(built / "data" / composed)
    assert ran(built) == NAMING  # last it was, and is
    if (built / "data" / decomposed).exists():
        pytest.skip("this file system takes both spellings for one name")
    (built / "data" / composed).rename(built / "data" / decomposed)
    assert ran(built) == NAMING
    (built / "models.yaml").write_text(
        MANIFEST.replace("FILES", composed).replace("é", "é"), encoding="utf-8"
    )
    (built / "models.yaml").write_text(MANIFEST.replace("FILES", f"data/{composed}"), encoding="utf-8")
    assert "no sample file matches" in build(built, 2).err
    (built / "models.yaml").write_text(MANIFEST.replace("FILES", f"data/{decomposed}"), encoding="utf-8")
    assert "observe" in ran(built)


def test_capital_letters(by_folder: Path) -> None:
    """A folder takes suffixes in capitals too, and a glob says what it says."""
    (by_folder / "data/4.npy").rename(by_folder / "data/4.NPY")
    if (by_folder / "data/4.npy").exists():
        pytest.skip("this file system takes both for one name")
    assert ran(by_folder) == NAMING
    (by_folder / "models.yaml").write_text(MANIFEST.replace("FILES", "data/*.npy"))
    assert "observe" in ran(by_folder)


def test_a_new_file_to_include(built: Path) -> None:
    (built / "parts/two.yaml").write_text("packages: {eyes: {target: eye, models: [small]}}\n")
    found = ran(built)
    assert "package" in found
    assert not found & {"import_source", "normalise"}
    (built / "parts/two.yaml").unlink()
    assert ran(built) == set()


def test_an_included_file_rewritten_and_one_that_is_hidden(built: Path) -> None:
    (built / "parts/one.yaml").write_text("# no change\ntargets:\n  eye:\n    chip: 'modalix'\n")
    (built / "parts/.two.yaml").write_text("models: {small: {source: other.onnx}}\n")
    assert ran(built) == set()
    (built / "parts/three.yaml").symlink_to("gone")
    assert "three.yaml is a link that leads nowhere" in build(built, 2).err


@pytest.mark.parametrize("name", ["cam", "base"])
def test_a_recipe_and_what_it_extends(built: Path, name: str) -> None:
    path = built / f"recipes/{name}.yaml"
    path.write_text("# a comment\n" + path.read_text())
    assert ran(built) == set()
    clock = "hardware: {clock_hz: {value: 123000000, source: here, sure: guess}}\n"
    path.write_text(path.read_text() + clock)
    found = ran(built)
    assert "evaluate" in found
    assert not found & {"import_source", "normalise", "observe", "quantize"}


def test_weights_beside_the_model(built: Path) -> None:
    model = onnx.load(built / "small.onnx")
    onnx.save(
        model, built / "small.onnx", save_as_external_data=True, location="small.data", size_threshold=0
    )
    assert "import_source" in ran(built)
    weights = built / "small.data"
    (built / "other.data").write_bytes(weights.read_bytes())
    assert ran(built) == set()
    data = bytearray(weights.read_bytes())
    data[:4] = np.float32(2).tobytes()
    weights.write_bytes(data)
    assert ran(built) >= {"import_source", "normalise", "observe"}
