"""MODEL@TARGET -> its float, fixed and hardware form, built first."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from modelbuild.artifacts.runner import run_real
from modelbuild.errors import ModelbuildError
from modelbuild.project.forms import is_pair, open_form, sample_files
from modelbuild.project.project import Project, open_project
from tests.project.small_project import write_manifest, write_model, write_samples

TEXT = """\
samples:
  some: {files: "data/*.npy"}
  named: {inputs: {image: {files: "data/*.npy"}}}
defaults: {calibration: some}
models: {a: {source: a.onnx}, b: {source: b.onnx}}
targets: {cam: {chip: kl720}, eye: {chip: modalix}}
packages: {p: {target: cam, models: {a: {id: 32768}}}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    for seed, name in enumerate("ab"):
        write_model(tmp_path / f"{name}.onnx", seed)
    write_samples(tmp_path / "data")
    write_manifest(tmp_path, TEXT)
    return open_project(tmp_path)


def states(project: Project) -> set[str]:
    """The actions that are up to date."""
    names = [action.name for action in project.plan.actions]
    found = project.builder.status(project.plan.actions, names)
    return {name for name, status in found.items() if status.state == "up to date"}


def test_each_form_is_built_as_far_as_it_needs_and_they_agree(project: Project) -> None:
    image = {"image": np.load(project.root / "data/0.npy")}
    exact = open_form(project, "a@cam", "float")
    assert exact.level == "float"
    assert "a@cam:lower" in states(project) and "a@cam:observe" not in states(project)
    fixed = open_form(project, "a@cam", "fixed")
    assert "a@cam:apply" in states(project) and "a@cam:compile" not in states(project)
    hardware = open_form(project, "a@cam", "hardware")
    assert {"a@cam:compile", "p:package"} <= states(project) and "p:gate" not in states(project)
    assert (fixed.level, hardware.level) == ("fixed", "hardware")
    expected, *found = (run_real(form, image)["scores"] for form in (exact, fixed, hardware))
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(expected, found[0])
    assert np.abs(expected - found[0]).max() < 0.05 * np.ptp(expected)


def test_of_two_packages_the_targets_own(project: Project) -> None:
    write_manifest(project.root, TEXT.replace("32768}}}}", "32768}}}, q: {target: eye, models: [a]}}"))
    both = open_project(project.root)
    image = {"image": np.load(project.root / "data/0.npy")}
    found = {
        (target, level): run_real(open_form(both, f"a@{target}", level), image)["scores"]
        for target in ("cam", "eye")
        for level in ("fixed", "hardware")
    }
    for target in ("cam", "eye"):
        assert np.array_equal(found[target, "fixed"], found[target, "hardware"])
    assert not np.array_equal(found["cam", "hardware"], found["eye", "hardware"])


def test_without_a_package_the_program_is_the_compilers(project: Project) -> None:
    write_manifest(project.root, TEXT.split("packages:")[0])
    alone = open_project(project.root)
    hardware = open_form(alone, "b@eye", "hardware")
    assert states(alone) >= {"b@eye:compile"}
    image = {"image": np.load(project.root / "data/1.npy")}
    fixed = open_form(alone, "b@eye", "fixed")
    assert np.array_equal(run_real(hardware, image)["scores"], run_real(fixed, image)["scores"])


def test_what_cannot_be_built_is_raised(project: Project) -> None:
    (project.root / "a.onnx").write_bytes(b"broken")
    for level in ("float", "fixed", "hardware"):
        with pytest.raises(ModelbuildError, match="not an ONNX file") as caught:
            open_form(project, "a@cam", level)
        assert caught.value.exit_code == 2


def test_pairs_that_are_none(project: Project) -> None:
    with pytest.raises(ModelbuildError, match="no target is called `cma`"):
        open_form(project, "a@cma", "fixed")
    with pytest.raises(ModelbuildError, match="no package has b@eye"):
        open_form(project, "b@eye", "fixed")


def test_a_fixed_source_has_no_float_form(project: Project) -> None:
    open_form(project, "a@cam", "fixed")
    request = project.plan.models["a", "cam"]
    names = [request.action("apply")]
    result = project.builder.build(project.plan.actions, names, jobs=1)
    made = project.builder.output(result, names[0], "model.fixed.onnx")
    shutil.copyfile(made, project.root / "a.fixed.onnx")
    write_manifest(project.root, TEXT.replace("source: a.onnx", "source: a.fixed.onnx"))
    again = open_project(project.root)
    with pytest.raises(ModelbuildError, match="a has no float form") as caught:
        open_form(again, "a@cam", "float")
    assert caught.value.problems[0].advice == "use --level fixed"
    assert open_form(again, "a@cam", "fixed").level == "fixed"


def test_a_sample_set_by_name_is_its_files(project: Project) -> None:
    files = [str(project.root / f"data/{index}.npy") for index in range(2)]
    assert sample_files(project, "some") == files
    assert sample_files(project, "image=some") == [f"image={file}" for file in files]
    assert sample_files(project, "named") == [f"image={file}" for file in files]
    assert sample_files(project, "data/0.npy") == ["data/0.npy"]
    assert sample_files(project, "image=data/0.npy") == ["image=data/0.npy"]


def test_a_file_with_an_at_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_pair("net@cam") and not is_pair("net.onnx")
    (tmp_path / "net@cam").write_bytes(b"")
    assert not is_pair("net@cam")
