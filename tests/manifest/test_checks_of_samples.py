"""Sample sets, and what models ask of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from modelbuild.manifest.samples import Sets
from modelbuild.manifest.settings import effective

Place = Callable[[str, str], str]
GOOD = """\
modelbuild: 1
samples: {faces: {files: faces/*.png}, street: {files: street/*.png, labels: street.txt}}
models: {net: {source: net.onnx, calibration: faces}}
targets: {cam: {chip: kl720}}
"""
LABELS = "street/0.png 3\nstreet/1.png 4\nstreet/2.png 5\n"
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"


@pytest.fixture(autouse=True)
def labels(project: Any) -> None:
    project.write("street.txt", LABELS)


def test_good(project: Any) -> None:
    assert project.warnings(GOOD) == [("MB003", 1, "there are no packages: nothing is built")]


@pytest.mark.parametrize(
    ("old", "new", "at", "what"),
    [
        ("faces/*.png", "none/*.png", "none/*", "no sample file matches"),
        ("faces/*.png", "[faces/0.png, gone.png]", "gone.png", "no sample file matches"),
        ("faces/*.png", "[faces/0.png, faces/*.png]", "[faces", "the sample 0.png is named twice"),
        ("street.txt", "gone.txt", "gone.txt", "cannot read the labels"),
        ("street.txt", "short.txt", "short.txt", "no label for street/2.png"),
        ("street.txt", "long.txt", "long.txt", "street/3.png is not in the sample set"),
        ("street.txt", "words.txt", "words.txt", "the label 'cat' is not a class number"),
        (
            "calibration: faces",
            "calibration: {set: faces, count: 5}",
            "5}",
            "5 calibration samples asked for, the set `faces` has 4",
        ),
        (
            "calibration: faces",
            "calibration: faces, evaluation: {count: 4, set: street}",
            "4,",
            "4 evaluation samples asked for, the set `street` has 3",
        ),
        (", calibration: faces", "", "net: {", "the model `net` has no calibration samples"),
        (
            "calibration: faces",
            "calibration: faces, accept: {top1_drop: 0.01}",
            "0.01",
            "`top1_drop` needs labels, and the sample set `faces` has none",
        ),
        (
            "calibration: faces",
            "calibration: street, evaluation: faces, accept: {top5: 0.5}",
            "0.5",
            "`top5` needs labels, and the sample set `faces` has none",
        ),
        (
            "calibration: faces",
            "calibration: faces, inputs: {a: {}, b: {}}",
            "faces, inputs",
            "one file cannot feed the 2 inputs a, b",
        ),
        (
            "calibration: faces",
            "quantize: {record: gone.quant.txt}",
            "gone.quant.txt",
            "the quantization record gone.quant.txt does not exist",
        ),
        (
            "calibration: faces",
            "calibration: faces, inputs: {a: {preprocess: {mean: [1, 2]}}}",
            "[1, 2]",
            "`mean` has 2 values",
        ),
        (
            "calibration: faces",
            "calibration: faces, inputs: {a: {preprocess: {fill: 300}}}",
            "300",
            "`fill: 300.0` is not a pixel value, a whole number from 0 to 255",
        ),
    ],
)
def test_what_is_wrong(project: Any, place: Place, old: str, new: str, at: str, what: str) -> None:
    project.write("short.txt", LABELS[:30])
    project.write("long.txt", LABELS + "street/3.png 1\n")
    project.write("words.txt", LABELS.replace("4", "cat"))
    text = GOOD.replace(old, new)
    assert (place(text, at), what) in project.errors(text)


def test_lfs_pointers_among_the_samples(project: Any) -> None:
    project.write("faces/2.png", LFS)
    assert project.errors(GOOD) == [
        ("models.yaml:2:26", "1 of the 4 files of the sample set `faces` are Git LFS pointers")
    ]


def test_several_inputs_are_paired_by_stem(project: Any) -> None:
    text = GOOD.replace(
        "faces: {files: faces/*.png}", "faces: {inputs: {a: {files: faces/*}, b: {files: other/*}}}"
    )
    text = text.replace("calibration: faces", "calibration: faces, inputs: {a: {}, b: {}}")
    for index in range(4):
        project.write(f"other/{index}.npy", "")
    manifest = project.load(text)
    chosen = Sets(manifest).calibration(effective(manifest, "net", "cam").values, ("a", "b"))
    assert chosen is not None
    files = [{name: path.name for name, path in sample.files.items()} for sample in chosen.samples.entries]
    assert files == [{"a": f"{index}.png", "b": f"{index}.npy"} for index in range(4)]
    project.write("other/9.npy", "")
    assert project.errors(text) == [("models.yaml:2:19", "input a has no file for 9")]


def test_an_input_without_samples(project: Any, place: Place) -> None:
    text = GOOD.replace("faces: {files: faces/*.png}", "faces: {inputs: {a: {files: faces/*}}}")
    text = text.replace("calibration: faces", "calibration: faces, inputs: {a: {}, b: {}}")
    assert project.errors(text) == [(place(text, "faces, inputs"), "no samples for the input `b`")]


def test_a_fixed_model_needs_no_samples(project: Any) -> None:
    project.write("net.fixed.onnx", "x")
    text = GOOD.replace("net.onnx, calibration: faces", "net.fixed.onnx")
    assert project.load(text).spec.models["net"].calibration is None


def test_a_record_needs_no_samples(project: Any) -> None:
    project.write("net.quant.txt", "x")
    text = GOOD.replace("calibration: faces", "quantize: {record: net.quant.txt}")
    settings = effective(project.load(text), "net", "cam")
    assert settings.record == "net.quant.txt"
    assert settings.values["quantize"]["record"] == "net.quant.txt"


def test_folders_as_labels(project: Any) -> None:
    text = GOOD.replace("street.txt", "folders").replace("street/*.png", "'*/*.png'")
    manifest = project.load(text)
    assert [sample.label for sample in Sets(manifest).get("street").entries] == [0, 0, 0, 0, 1, 1, 1]


def test_samples_are_evenly_spaced_and_labelled(project: Any) -> None:
    text = GOOD.replace("calibration: faces", "calibration: faces, evaluation: {set: street, count: 2}")
    manifest = project.load(text)
    values = effective(manifest, "net", "cam").values
    chosen = Sets(manifest).evaluation(values, ("x",))
    assert chosen is not None
    assert not chosen.optimistic
    assert chosen.labels == (3, 5)
    assert [sample.files["x"].name for sample in chosen.samples.entries] == ["0.png", "2.png"]


def test_without_evaluation_the_calibration_set_is_used_and_called_optimistic(project: Any) -> None:
    manifest = project.load(GOOD.replace("calibration: faces", "calibration: street"))
    chosen = Sets(manifest).evaluation(effective(manifest, "net", "cam").values, ())
    assert chosen is not None
    assert chosen.optimistic
    assert chosen.labels == (3, 4, 5)


def test_a_copy_under_another_name_is_a_shared_sample(project: Any) -> None:
    project.write("copies/renamed.png", "faces1")
    text = GOOD.replace("calibration: faces", "calibration: faces, evaluation: copies")
    faces = "faces: {files: faces/*.png}"
    text = text.replace(faces, f"{faces}, copies: {{files: copies/*.png}}")
    told = [line for line in project.warnings(text) if line[0] == "MB005"]
    assert [line[2] for line in told] == ["1 samples of `net` are in both its calibration and its evaluation"]


def test_shared_samples_are_a_warning(project: Any) -> None:
    text = GOOD.replace("calibration: faces", "calibration: {set: faces, count: 2}, evaluation: faces")
    assert project.warnings(text)[-1] == (
        "MB005",
        3,
        "2 samples of `net` are in both its calibration and its evaluation",
    )
