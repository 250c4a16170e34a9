"""Every wrong input: one clear message with advice, the right exit code, nothing left behind."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from modelbuild.cli.main import main
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
    "missing model": Wrong(remove_model, USER, ("models.yaml:11:", "models/digits.onnx does not exist")),
    "LFS pointer": Wrong(write_model(LFS), USER, ("models.yaml:11:", "is a Git LFS pointer", "git lfs pull")),
    "garbage ONNX": Wrong(
        write_model(b"\x00\xffgarbage" * 100), USER, ("models/digits.onnx: this is not an ONNX file",)
    ),
    "truncated ONNX": Wrong(
        truncate_model,
        USER,
        ("models/digits.onnx: the ONNX file is truncated or damaged (2000 bytes)", "copy it again"),
    ),
    "empty ONNX": Wrong(write_model(b""), USER, ("models/digits.onnx: the file is empty", "copy it again")),
    "unknown chip": Wrong(
        replace("{chip: kl720,", "{chip: kl702,"),
        USER,
        ("models.yaml:21:", "unknown chip `kl702`", "did you mean `kl720`?"),
    ),
    "unknown key": Wrong(
        replace("evaluation: test", "evaluaton: test"),
        USER,
        ("models.yaml:16:", "unknown key `evaluaton`", "did you mean `evaluation`?"),
    ),
    "int16 on kl520": Wrong(
        replace("kl520: {chip: kl520,", "kl520: {chip: kl520, quantize: {activations: int16},"),
        USER,
        ("models.yaml:22:", "int16 activations are not possible on kl520"),
    ),
    "two models with one id": Wrong(second_model, USER, ("models.yaml:31:", "have the same id 32769")),
    "id 0": Wrong(replace("id: 32769", "id: 0"), USER, ("models.yaml:30:", "the id 0 is not possible")),
    "version 12": Wrong(
        replace('version: "0001"}}', "version: 12}}"), USER, ("models.yaml:30:", "four hex digits", "0012")
    ),
    "no calibration": Wrong(
        replace("    calibration: {set: calibration, count: 64}\n", ""),
        USER,
        ("models.yaml:10:", "the model `digits` has no calibration samples"),
    ),
    "more samples asked than found": Wrong(
        replace("count: 64", "count: 65"), USER, ("models.yaml:15:", "65", "64")
    ),
    "an input without samples": Wrong(two_inputs, USER, ("the input `other` has no samples",)),
    "images of another size": Wrong(
        other_size,
        USER,
        ("data/calibration/", "the picture is 9x7, the input 16x16", "no `resize` is declared"),
    ),
    "a picture without a label": Wrong(missing_label, USER, ("models.yaml:7:", "no label for data/test/")),
    "a label without a picture": Wrong(
        label_of_nothing, USER, ("models.yaml:7:", "test/nobody.png is not in the sample set")
    ),
    "a dynamic shape": Wrong(
        dynamic_model,
        USER,
        ("models/digits.onnx: the model's input `image` has no fixed size", "shape: [1, 1, <H>, <W>]"),
    ),
    "another batch than the model's": Wrong(
        replace("shape: [1, 1, 16, 16]", "shape: [2, 1, 16, 16]"),
        USER,
        ("models.yaml:", "dimension 0 is 1", "shape: [1, 1, 16, 16]"),
    ),
    "an operator that nothing runs": Wrong(
        impossible_operator, FAILED, ("node determinant: ", "no unit of kl720 runs Det")
    ),
    "a .bie with the builtin toolchain": Wrong(bie_source, USER, ("models.yaml:11:", ".bie", "builtin")),
}

ON_KL720 = {"an input without samples", "an operator that nothing runs"}  # a kl520 takes one input only


def tree(folder: Path) -> dict[str, bytes | None]:
    """Every file's bytes, and every folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("name", WRONG)
def test_it_says_once_what_is_wrong_and_leaves_nothing_behind(
    name: str,
    digits: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing but the report, and the builder's memory, in which nothing half-made lies."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)  # which remembers what it was
    monkeypatch.chdir(digits)
    WRONG[name].spoil(digits)
    before = tree(digits)
    code = main(["build", "digits-kl720" if name in ON_KL720 else "digits-kl520", "-j", "1"])
    said = capsys.readouterr().err
    for text in WRONG[name].says:
        assert text in said, said
    assert code == WRONG[name].code, said
    assert said.count("error:") == 1 and "Traceback" not in said, said
    assert said.count("\n  do:  ") == 1, said
    after = tree(digits)
    added = {path for path in after if path.split("/")[0] in {".modelbuild", "reports"}}
    assert {path: after[path] for path in after.keys() - added} == before
    assert {path.name for path in temporary.iterdir()} <= {".ses"}  # onnxruntime's, of its import
    assert [path for path in added if ".tmp" in path or path.startswith(".modelbuild/work/")] == []


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
    for place in ("models.yaml:15:", "models.yaml:16:", "models.yaml:30:"):
        assert place in done.err
