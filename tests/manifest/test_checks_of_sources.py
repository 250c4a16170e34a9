"""Model files."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from modelbuild.errors import ModelbuildError
from tests.manifest.conftest import GOOD

TEXT = "modelbuild: 1\nmodels:\n  net:\n    source: {}\n"
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"


def test_what_is_there_is_fine(project: Any) -> None:
    assert project.load(TEXT.replace("{}", "./net.onnx")).spec.models["net"].source_path == "./net.onnx"


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("gone.onnx", "the model gone.onnx does not exist"),
        ("../outside/gone.onnx", "the model ../outside/gone.onnx does not exist"),
        ("folder.onnx", "the model folder.onnx is a folder"),
        ("pointer.onnx", "the model pointer.onnx is a Git LFS pointer, not the file itself"),
        ("vendor.bie", "the builtin toolchain cannot read `.bie` files"),
        ("vendor.sima", "the builtin toolchain cannot read `.sima` files"),
        ("gone.tflite", "the model gone.tflite does not exist"),
        ("net.prototxt", "a caffe model keeps its weights in a file of their own"),
        ("model.pt", "models in .pt cannot be imported"),
        ("model", "models in files without a suffix cannot be imported"),
        ("https://host/model.onnx", "a source at an address needs its `sha256`"),
        ("http://host/model.onnx", "`source`: expected an https:// address, found `http://`"),
        ("S3://bucket/model.onnx", "`source`: expected an https:// address, found `s3://`"),
        ("https:///model.onnx", "`source`: this is no address"),
        ("https://host:port/model.onnx", "`source`: this is no address"),
        (
            "x" * 5000 + ".onnx",
            "the model " + "x" * 5000 + ".onnx cannot be read: [Errno 36] File name too long: ",
        ),
    ],
)
def test_what_is_wrong(project: Any, source: str, what: str) -> None:
    (project.root / "folder.onnx").mkdir()
    project.write("pointer.onnx", LFS)
    for name in ("vendor.bie", "vendor.sima", "net.prototxt", "model.pt", "model"):
        project.write(name, "content")
    errors = project.errors(TEXT.replace("{}", source))
    assert any(where == "models.yaml:4:13" and found.startswith(what) for where, found in errors)


def test_the_nearest_file_is_told(project: Any) -> None:
    with pytest.raises(ModelbuildError) as caught:
        project.load(TEXT.replace("{}", "nett.onnx"))
    assert caught.value.problems[0].advice == "did you mean `net.onnx`?"


def test_a_path_relative_to_the_included_file_is_recognised(project: Any) -> None:
    project.write("sub/deep.onnx", "x")
    project.write("sub/m.yaml", "models: {net: {source: deep.onnx}}\n")
    with pytest.raises(ModelbuildError) as caught:
        project.load("modelbuild: 1\ninclude: sub/m.yaml\n")
    assert caught.value.problems[0].advice == "paths are relative to models.yaml: write sub/deep.onnx"


def test_the_digest_is_compared(project: Any) -> None:
    digest = hashlib.sha256(b"not read by the manifest").hexdigest()
    text = TEXT.replace("{}", f"{{path: net.onnx, sha256: {digest.upper()}}}")
    assert project.load(text).spec.models["net"].source_digest == digest
    wrong = text.replace(digest.upper(), "0" * 64)
    assert project.errors(wrong) == [("models.yaml:4:38", "the model is another file than its `sha256` says")]


def test_separate_weights(project: Any) -> None:
    text = TEXT.replace("{}", "net.onnx\n    weights: net.bin")
    assert project.errors(text) == [
        ("models.yaml:5:14", "`weights`: this model keeps its weights in the source file")
    ]


@pytest.mark.parametrize(
    ("source", "weights", "what"),
    [
        ("net.prototxt", "net.bin", "`weights`: the weights of a caffe model end with .caffemodel"),
        ("net.prototxt", "gone.caffemodel", "the file of weights gone.caffemodel does not exist"),
        ("net.prototxt", "pointer.caffemodel", "the file of weights pointer.caffemodel is a Git LFS pointer"),
        ("net.prototxt", "https://host/net.caffemodel", "`weights` takes no address"),
        ("net.keras", "net.caffemodel", "`weights`: the weights of a keras model end with .h5 or .hdf5"),
        ("net.fixed.onnx", "net.bin", "`weights`: this model keeps its weights in the source file"),
    ],
)
def test_what_is_wrong_with_weights(project: Any, source: str, weights: str, what: str) -> None:
    project.write("pointer.caffemodel", LFS)
    project.write(source, "content")
    [(where, found)] = project.errors(TEXT.replace("{}", f"{source}\n    weights: {weights}"))
    assert where == "models.yaml:5:14"
    assert found.startswith(what)


@pytest.mark.parametrize(
    ("source", "weights"),
    [("net.prototxt", "net.CaffeModel"), ("net.keras", "net.weights.h5"), ("net.h5", "")],
)
def test_weights_beside_a_source(project: Any, source: str, weights: str) -> None:
    project.write(source, "content")
    project.write(weights or "unused", "content")
    text = TEXT.replace("{}", source + (f"\n    weights: {weights}" if weights else ""))
    assert project.load(text).spec.models["net"].weights == (weights or None)


DIGEST = "0" * 64
ADDRESS = f"{{url: 'https://me:secret@host:8443/path/net.onnx?token=hush', sha256: {DIGEST}}}"


def test_an_address_with_a_digest_is_a_source(project: Any) -> None:
    model = project.load(TEXT.replace("{}", ADDRESS)).spec.models["net"]
    assert model.source_path is None
    assert model.source_name == "net.onnx"
    assert model.source_digest == DIGEST
    assert not model.is_fixed


def test_a_fixed_model_may_lie_at_an_address(project: Any) -> None:
    model = project.load(TEXT.replace("{}", ADDRESS.replace("net.onnx", "net.Fixed.onnx"))).spec.models["net"]
    assert model.is_fixed


@pytest.mark.parametrize(
    ("source", "column", "what"),
    [
        (
            "{url: 'http://host/net.onnx', sha256: %s}",
            19,
            "`source`: expected an https:// address, found `http://`",
        ),
        ("{url: host/net.onnx, sha256: %s}", 19, "`source`: expected an https:// address, found none"),
        ("{url: 'https://host/a b.onnx', sha256: %s}", 19, "`source`: this is no address"),
        (
            "{url: 'https://host/get?id=5', sha256: %s}",
            19,
            "models in files without a suffix cannot be imported",
        ),
        ("{path: 'https://host/net.onnx', sha256: %s}", 20, "`path` takes no address"),
    ],
)
def test_what_is_wrong_with_an_address(project: Any, source: str, column: int, what: str) -> None:
    assert project.errors(TEXT.replace("{}", source % DIGEST)) == [(f"models.yaml:4:{column}", what)]


@pytest.mark.parametrize("source", ["'{}'", "{url: '{}'}"])
def test_without_a_digest_it_is_said_how_to_get_it_and_no_secret_is(project: Any, source: str) -> None:
    url = "https://me:secret@host:8443/path/net.onnx?token=hush"
    with pytest.raises(ModelbuildError) as caught:
        project.load(TEXT.replace("{}", source.replace("{}", url)))
    [problem] = caught.value.problems
    assert problem.where == "models.yaml:4:13" if source == "'{}'" else "models.yaml:4:5"
    assert "curl -L https://host:8443/path/net.onnx?… | sha256sum" in problem.advice
    assert "sha256: " in problem.advice or "`sha256:`" in problem.advice
    assert "secret" not in str(problem) and "hush" not in str(problem)


@pytest.mark.parametrize(
    ("there", "advice"), [("syn.py", "correct the path"), ("missin.py", "did you mean `missin.py`?")]
)
def test_a_suffix_alone_makes_no_name_near(project: Any, there: str, advice: str) -> None:
    project.write(f"tools/{there}", "def f(outputs):\n    return {}\n")
    with pytest.raises(ModelbuildError) as caught:
        project.load(GOOD.replace("source: net.onnx", 'source: net.onnx, postprocess: "tools/missing.py:f"'))
    (problem,) = caught.value.problems
    assert problem.advice == advice
