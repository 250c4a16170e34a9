"""Words -> packages as wholes and models by themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.manifest.load import load
from modelbuild.project.selection import Selection, select
from tests.project.small_project import write_manifest, write_model, write_samples

TEXT = """\
samples: {some: {files: "data/*.npy"}}
defaults: {calibration: some}
models: {a: {source: a.onnx}, b: {source: b.onnx}}
targets: {cam: {chip: kl720}, eye: {chip: modalix}}
"""
PACKAGES = """\
packages:
  pa: {target: cam, models: {a: {id: 32768}}}
  pb: {targets: [cam, eye], models: {a: {id: 32768}, b: {id: 32769}}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in "ab":
        write_model(tmp_path / f"{name}.onnx")
    write_samples(tmp_path / "data")
    return tmp_path


def selected(folder: Path, text: str, *names: str) -> Selection:
    write_manifest(folder, text)
    return select(load(folder / "models.yaml"), names)


@pytest.mark.parametrize(
    ("names", "packages", "pairs"),
    [
        ((), ("pa", "pb-cam", "pb-eye"), ()),
        (("pb",), ("pb-cam", "pb-eye"), ()),
        (("pb-eye", "pa"), ("pb-eye", "pa"), ()),
        (("a@cam",), (), (("a", "cam"),)),
        (("b", "pa", "b@eye"), ("pa",), (("b", "cam"), ("b", "eye"))),
    ],
)
def test_with_packages(folder: Path, names: tuple[str, ...], packages: object, pairs: object) -> None:
    found = selected(folder, TEXT + PACKAGES, *names)
    assert (found.packages, found.pairs) == (packages, pairs)


def test_without_packages_every_model_on_every_target(folder: Path) -> None:
    found = selected(folder, TEXT)
    assert found.packages == ()
    assert set(found.pairs) == {(model, target) for model in "ab" for target in ("cam", "eye")}
    assert selected(folder, TEXT, "b").pairs == (("b", "cam"), ("b", "eye"))


def test_every_unknown_name_in_one_error(folder: Path) -> None:
    with pytest.raises(ModelbuildError) as caught:
        selected(folder, TEXT + PACKAGES, "pq", "a@cma", "pa")
    assert len(caught.value.problems) == 2 and caught.value.exit_code == 2
