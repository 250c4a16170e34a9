"""Every wrong input: one clear message, the right exit code, no traceback, nothing left behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from tests.e2e.command import Done, modelbuild

USER, FAILED = 2, 1


@dataclass(frozen=True)
class Wrong:
    """How to spoil the example, the exit code, and what the message must say."""

    spoil: Callable[[Path], None]
    code: int
    says: tuple[str, ...]


def replace(old: str, new: str) -> Callable[[Path], None]:
    """Spoil the manifest."""

    def spoil(folder: Path) -> None:
        path = folder / "models.yaml"
        text = path.read_text(encoding="utf-8")
        assert old in text, old
        path.write_text(text.replace(old, new), encoding="utf-8")

    return spoil


def write_model(content: bytes) -> Callable[[Path], None]:
    """Spoil the model file."""
    return lambda folder: (folder / "models/digits.onnx").write_bytes(content) and None


def truncate_model(folder: Path) -> None:
    path = folder / "models/digits.onnx"
    path.write_bytes(path.read_bytes()[:2000])


def remove_model(folder: Path) -> None:
    (folder / "models/digits.onnx").unlink()


def save(
    folder: Path, nodes: list[onnx.NodeProto], shape: list[int | str], initializers: list[onnx.TensorProto]
) -> None:
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, None)],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    (folder / "models/digits.onnx").write_bytes(model.SerializeToString())


def dynamic_model(folder: Path) -> None:
    weights = numpy_helper.from_array(np.ones((2, 1, 3, 3), np.float32), "w")
    nodes = [helper.make_node("Conv", ["image", "w"], ["probabilities"], name="stem", pads=[1, 1, 1, 1])]
    save(folder, nodes, ["N", 1, "H", "W"], [weights])
    replace("shape: [1, 1, 16, 16], ", "")(folder)


def impossible_operator(folder: Path) -> None:
    nodes = [helper.make_node("Det", ["image"], ["probabilities"], name="determinant")]
    save(folder, nodes, [1, 1, 16, 16], [])


def two_inputs(folder: Path) -> None:
    nodes = [helper.make_node("Add", ["image", "other"], ["probabilities"], name="sum")]
    graph = helper.make_graph(
        nodes,
        "two",
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, 16, 16])
            for name in ("image", "other")
        ],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, 1, 16, 16])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    (folder / "models/digits.onnx").write_bytes(model.SerializeToString())


def other_size(folder: Path) -> None:
    replace("resize: stretch, ", "")(folder)
    for path in (folder / "data/calibration").iterdir():
        Image.new("L", (9, 7), 40).save(path)


def missing_label(folder: Path) -> None:
    path = folder / "data/test.txt"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(lines[1:]) + "\n", encoding="utf-8")


def label_of_nothing(folder: Path) -> None:
    with (folder / "data/test.txt").open("a", encoding="utf-8") as stream:
        stream.write("test/nobody.png 3\n")


def second_model(folder: Path) -> None:
    replace('{digits: {id: 32769, version: "0001"}}', "{digits: {id: 32769}, again: {id: 32769}}")(folder)
    replace(
        "models:\n  digits:",
        "models:\n  again: {source: models/digits.onnx, calibration: calibration}\n  digits:",
    )(folder)


def bie_source(folder: Path) -> None:
    (folder / "models/digits.bie").write_bytes(bytes(range(256)))
    replace("models/digits.onnx", "models/digits.bie")(folder)


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 123456\n"
WRONG = {
    "missing model": Wrong(remove_model, USER, ("models.yaml:", "models/digits.onnx")),
    "LFS pointer": Wrong(write_model(LFS), USER, ("LFS", "git lfs pull")),
    "garbage ONNX": Wrong(write_model(b"\x00\xffgarbage" * 100), USER, ("digits.onnx",)),
    "truncated ONNX": Wrong(truncate_model, USER, ("digits.onnx",)),
    "empty ONNX": Wrong(write_model(b""), USER, ("empty",)),
    "unknown chip": Wrong(
        replace("{chip: kl720,", "{chip: kl702,"), USER, ("models.yaml:20:", "kl702", "kl720")
    ),
    "unknown key": Wrong(
        replace("evaluation: test", "evaluaton: test"), USER, ("models.yaml:16:", "evaluation")
    ),
    "int16 on kl520": Wrong(
        replace("kl520: {chip: kl520,", "kl520: {chip: kl520, quantize: {activations: int16},"),
        USER,
        ("models.yaml:21:", "int16", "kl520"),
    ),
    "two models with one id": Wrong(second_model, USER, ("models.yaml:", "32769")),
    "id 0": Wrong(replace("id: 32769", "id: 0"), USER, ("models.yaml:27:", "id")),
    "version 12": Wrong(
        replace('version: "0001"}}', "version: 12}}"), USER, ("models.yaml:27:", "four hex digits")
    ),
    "no calibration": Wrong(
        replace("    calibration: {set: calibration, count: 64}\n", ""),
        USER,
        ("models.yaml:", "calibration"),
    ),
    "more samples asked than found": Wrong(
        replace("count: 64", "count: 65"), USER, ("models.yaml:15:", "65", "64")
    ),
    "an input without samples": Wrong(two_inputs, USER, ("other",)),
    "images of another size": Wrong(other_size, USER, ("resize", "9", "16")),
    "a picture without a label": Wrong(missing_label, USER, ("label",)),
    "a label without a picture": Wrong(label_of_nothing, USER, ("nobody.png",)),
    "a dynamic shape": Wrong(dynamic_model, USER, ("image", "shape")),
    "another batch than the model's": Wrong(
        replace("shape: [1, 1, 16, 16]", "shape: [2, 1, 16, 16]"),
        USER,
        ("models.yaml:", "dimension 0 is 1", "shape: [1, 1, 16, 16]"),
    ),
    "an operator that nothing runs": Wrong(impossible_operator, FAILED, ("determinant", "Det")),
    "a .bie with the builtin toolchain": Wrong(bie_source, USER, ("models.yaml:", ".bie", "builtin")),
}

ON_KL720 = {"an input without samples", "an operator that nothing runs"}  # a kl520 takes one input only


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input(digits: Path, name: str) -> None:
    wrong = WRONG[name]
    wrong.spoil(digits)
    done = modelbuild(digits, "build", "digits-kl720" if name in ON_KL720 else "digits-kl520", "-j", "2")
    for text in wrong.says:
        assert text in done.err, done.err
    assert done.code == wrong.code, done.err
    assert not (digits / "dist").exists()
    leftovers = [path for path in digits.rglob("*") if ".tmp" in path.name or path.name.startswith("tmp")]
    assert leftovers == []
    if (digits / ".modelbuild").exists():
        work = list((digits / ".modelbuild").rglob("work/*"))
        assert work == []


def test_each_message_is_said_once(digits: Path) -> None:
    remove_model(digits)
    done: Done = modelbuild(digits, "build")
    assert done.err.count("error:") == 1


def test_all_errors_of_a_manifest_come_in_one_run(digits: Path) -> None:
    replace("id: 32769", "id: 0")(digits)
    replace("evaluation: test", "evaluaton: test")(digits)
    replace("count: 64", "count: 65")(digits)
    done = modelbuild(digits, "check")
    assert done.code == USER
    for place in ("models.yaml:15:", "models.yaml:16:", "models.yaml:27:"):
        assert place in done.err
