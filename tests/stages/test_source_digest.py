"""A source that is not the one that the manifest names by its digest is refused before anything reads it."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.project.project import open_project
from modelbuild.stages import import_fixed
from modelbuild.stages.files import check_digest
from tests.stages.built import Built


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def refused(error: ModelbuildError, found: str, wanted: str, name: str) -> None:
    assert error.exit_code == 2
    (problem,) = error.problems
    assert found in problem.what and wanted in problem.why
    assert problem.where == name and problem.advice


def test_the_digest_decides(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(b"abc")
    check_digest(path, None)
    check_digest(path, sha256(path))
    path.write_bytes(b"abd")
    wanted = hashlib.sha256(b"abc").hexdigest()
    with pytest.raises(ModelbuildError) as caught:
        check_digest(path, wanted)
    refused(caught.value, sha256(path), wanted, "a.onnx")


def test_import_source(built: Built, tmp_path: Path) -> None:
    source = built.project.root / "small.onnx"
    wanted = sha256(source)
    built.run("small:import_source", tmp_path / "same", parameters={"sha256": wanted})
    assert (tmp_path / "same/model.onnx").is_file()
    other = tmp_path / "small.onnx"
    other.write_bytes(source.read_bytes() + b"\x32\x01x")  # a comment more: still the same model
    built.run("small:import_source", tmp_path / "any", {"source": other}, {"sha256": None})
    with pytest.raises(ModelbuildError) as caught:
        built.run("small:import_source", tmp_path / "other", {"source": other}, {"sha256": wanted})
    refused(caught.value, sha256(other), wanted, "small.onnx")
    assert list((tmp_path / "other").iterdir()) == []


def test_import_fixed(built: Built, tmp_path: Path) -> None:
    source = tmp_path / "net.fixed.onnx"
    shutil.copyfile(built.path("small@nef:apply", "model.fixed.onnx"), source)
    out = tmp_path / "out"
    out.mkdir()
    parameters = {"chip": "kl720", "model": "small", "sha256": "0" * 64}
    with pytest.raises(ModelbuildError) as caught:
        import_fixed.run({"source": source}, parameters, out)
    refused(caught.value, sha256(source), "0" * 64, "net.fixed.onnx")
    assert list(out.iterdir()) == []
    import_fixed.run({"source": source}, {**parameters, "sha256": sha256(source)}, out)
    assert (out / "model.fixed.onnx").read_bytes() == source.read_bytes()


def test_the_manifests_digest_reaches_the_stage(built: Built, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(built.project.root, folder, ignore=shutil.ignore_patterns(".modelbuild"))
    wanted = sha256(folder / "small.onnx")
    text = (folder / "models.yaml").read_text(encoding="utf-8")
    text = text.replace("source: small.onnx", f"source: {{path: small.onnx, sha256: {wanted}}}")
    (folder / "models.yaml").write_text(text, encoding="utf-8")
    actions = {action.name: action for action in open_project(folder).plan.actions}
    assert actions["small:import_source"].parameters["sha256"] == wanted
    assert built.action("small:import_source").parameters["sha256"] is None
