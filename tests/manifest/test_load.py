"""Loading as a whole: everything wrong in one run, in order; nothing but ModelbuildError for any file."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.errors import ModelbuildError
from modelbuild.manifest import schema
from modelbuild.manifest.load import load
from modelbuild.manifest.manifest import Manifest
from tests.hypotheses import examples

EVERYTHING_WRONG = """\
modelbuild: 1
project: {nam: doorbell}
samples:
  faces: {files: none/*.jpg}
  street: {files: street/*.png, labels: gone.txt}
models:
  net:
    source: gone.onnx
    calibration: {set: street, count: 10}
  old: {source: old.bie, calibration: faces}
targets:
  cam: {chip: kl520, quantize: {activations: int16}}
  eye: {chip: modalx}
packages:
  bell: {target: cam, models: {net: {id: 0, version: 12}, old: {id: 7}, odd: {id: 7}}}
"""


def test_everything_wrong_in_one_run_in_the_order_of_the_file(project: Any) -> None:
    project.write("old.bie", "x")
    assert project.errors(EVERYTHING_WRONG) == [
        ("models.yaml:2:1", "the key `name` is missing in `project`"),
        ("models.yaml:2:11", "unknown key `nam` in `project`"),
        ("models.yaml:4:18", "no sample file matches"),
        ("models.yaml:5:41", "cannot read the labels"),
        ("models.yaml:8:13", "the model gone.onnx does not exist"),
        ("models.yaml:10:17", "the builtin toolchain cannot read `.bie` files"),
        ("models.yaml:12:46", "int16 activations are not possible on kl520"),
        ("models.yaml:13:15", "unknown chip `modalx`"),
        ("models.yaml:15:42", "the id 0 is not possible"),
        ("models.yaml:15:54", "the version `12` is not four hex digits"),
        ("models.yaml:15:73", "unknown model `odd`"),
        ("models.yaml:15:83", "`old` and `odd` have the same id 7"),
    ]


def test_a_missing_manifest(tmp_path: Path) -> None:
    with pytest.raises(ModelbuildError) as caught:
        load(tmp_path / "models.yaml")
    (problem,) = caught.value.problems
    assert (problem.where, problem.what) == (
        str(tmp_path / "models.yaml"),
        "cannot read the manifest: no such file or directory",
    )
    assert caught.value.exit_code == 2


def test_a_relative_path_is_relative_to_the_folder_of_now(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("models.yaml", "modelbuild: 1\nmodels: {net: {source: net.onnx}}\n")
    monkeypatch.chdir(project.root)
    assert load(Path("models.yaml")).root == Path(os.getcwd())  # noqa: PTH109


def test_positions_for_later_stages(project: Any) -> None:
    text = "modelbuild: 1\nmodels:\n  net:\n    source: net.onnx\n    inputs: {a: {shape: [1, 2]}}\n"
    manifest = project.load(text)
    assert manifest.position(("models", "net", "inputs", "a", "shape")) == "models.yaml:5:25"
    assert manifest.position(("models", "net", "inputs", "b", "shape")) == "models.yaml:5:5"


def test_the_digits_example_is_clean() -> None:
    example = Path(__file__).resolve().parents[2] / "examples" / "digits" / "models.yaml"
    manifest = load(example)
    assert set(manifest.packages) == {
        *(f"digits-{name}" for name in ("kl720", "kl520", "modalix", "k210", "cpu"))
    }


def loaded_or_refused(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "models.yaml"
        path.write_text(text, encoding="utf-8", newline="\n")
        try:
            manifest = load(path)
        except ModelbuildError as error:
            assert error.exit_code == 2
            assert all(problem.what for problem in error.problems)
        else:
            assert isinstance(manifest, Manifest)


KEYS = sorted(
    {key for definition in schema.schema()["$defs"].values() for key in definition.get("properties", {})}
)
SCALARS = [
    *("1", "0", "-1", "99", "1e3", "'1'", "~", "true", "a", "b", "net", "net.onnx", "*.onnx", "../x", "/"),
    *("kl720", "kl520", "nef", "int8", "int16", "faces", "mse", "percentile", "folders", "env:X", '"\\0"'),
]
flow = st.recursive(
    st.sampled_from(SCALARS),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4).map(
            lambda entries: "{" + ", ".join(f"{key}: {value}" for key, value in entries.items()) + "}"
        )
    ),
    max_leaves=20,
)
sections = st.fixed_dictionaries(
    {},
    optional={
        name: flow
        | st.dictionaries(st.sampled_from("ab"), flow, min_size=1, max_size=2).map(
            lambda entries: "{" + ", ".join(f"{key}: {value}" for key, value in entries.items()) + "}"
        )
        for name in ("samples", "models", "targets", "packages", "defaults", "project", "include")
    },
)


@examples(150)
@given(sections)
def test_any_manifest_like_text_is_loaded_or_refused(entries: dict[str, str]) -> None:
    loaded_or_refused("modelbuild: 1\n" + "".join(f"{key}: {value}\n" for key, value in entries.items()))


@examples(100)
@given(st.data())
def test_a_damaged_manifest_is_loaded_or_refused(data: st.DataObject) -> None:
    text = EVERYTHING_WRONG
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 8)))
        patch = data.draw(st.sampled_from(["", "[", "{", ":", "&a ", "*a", "- ", "\n", "'", "0"]))
        text = text[:start] + patch + text[end:]
    loaded_or_refused(text)
