"""`modelbuild convert` with edits: of a file, and as options."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.cli.conftest import Command
from tests.cli.exported_model import SHAPE, numbers, ops, ran, save


def test_edits_as_options(folder: Path, command: Command) -> None:
    words = ("--cut-outputs", "relu", "--rename", "x=image", "--rename", "r=scores")
    assert command(folder, "convert", "net.onnx", "-o", "out.onnx", *words).code == 0
    assert ops(folder / "out.onnx") == ["Conv", "Relu"]
    assert list(ran(folder / "out.onnx", numbers(*SHAPE))) == ["scores"]
    assert command(folder, "convert", "net.onnx", "-o", "out.onnx", "--remove-type", "Relu").code == 0
    assert ops(folder / "out.onnx") == ["Conv", "Softmax"]
    assert command(folder, "convert", "net.onnx", "-o", "out.onnx", "--cut-inputs", "r").code == 0
    assert ops(folder / "out.onnx") == ["Softmax"]


@pytest.mark.parametrize("text", ["- cut: {outputs: [r]}\n", "edit:\n  - cut: {outputs: [relu]}\n"])
def test_edits_in_a_file(folder: Path, command: Command, text: str) -> None:
    (folder / "edits.yaml").write_text(text, encoding="utf-8")
    said = command(folder, "convert", "net.onnx", "-o", "out.onnx", "--edit", "edits.yaml", "--rename", "r=z")
    assert said.code == 0, said.err
    assert list(ran(folder / "out.onnx", numbers(*SHAPE))) == ["z"]
    assert said.lines[1] == "import: 5 -> 5 nodes, differs by 0 of the range from the file"
    assert said.lines[2].startswith("edit: 5 -> ") and said.lines[2].endswith(
        "not measured: edits change what the model computes"
    )


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("- cutt: {outputs: [r]}\n", "edits.yaml:1:3", "unknown key `cutt`"),
        ("- rename: {x: a}\n- cut: {outputs: [q]}\n", "edits.yaml:2:3", "no tensor and no node `q`"),
        ("", "edits.yaml", "there is no edit in the list"),
        ("edit: []\n", "edits.yaml", "there is no edit in the list"),
        ("[cut", "edits.yaml:", "not valid YAML"),
        ("other: 5\n", "edits.yaml:1:1", "`other` is no edit"),
        ("\xff", "edits.yaml", "not UTF-8"),
    ],
)
def test_wrong_edits_say_where(folder: Path, command: Command, text: str, where: str, what: str) -> None:
    (folder / "edits.yaml").write_bytes(text.encode("latin-1"))
    said = command(folder, "convert", "net.onnx", "-o", "out.onnx", "--edit", "edits.yaml")
    assert said.code == 2 and where in said.err and what in said.err
    assert not (folder / "out.onnx").exists()


def test_what_cannot_be_imported_can_be_cut_off(folder: Path, command: Command) -> None:
    model = onnx.load(str(folder / "net.onnx"))
    model.graph.node.append(helper.make_node("NonZero", ["y"], ["places"], name="where"))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("places", TensorProto.INT64, None))
    onnx.save(model, str(folder / "net.onnx"))
    assert command(folder, "convert", "net.onnx", "-o", "out.onnx").code == 2
    said = command(folder, "convert", "net.onnx", "-o", "out.onnx", "--cut-outputs", "soft")
    assert said.code == 0, said.err
    assert said.lines[1].startswith(
        "import, edit: 6 -> 5 nodes, not measured against the file: without the edits it cannot be imported"
    )
    assert ops(folder / "out.onnx") == ["Conv", "Relu", "Softmax"]


def test_the_tail_becomes_a_model_of_its_own(folder: Path, command: Command) -> None:
    save(folder / "net.onnx", SHAPE)
    said = command(folder, "convert", "net.onnx", "-o", "out.onnx", "--chip", "kl520", "--tail", "auto")
    assert said.code == 0, said.err
    assert ops(folder / "out_post.onnx") == ["Softmax"]
    told = said.lines.index("  1 node runs after the chip; the NPU does not run")
    assert said.lines[told + 1] == "    Softmax `soft`: the NPU has no Softmax on kl520"
    x = numbers(*SHAPE)
    [(name, middle)] = ran(folder / "out.onnx", x).items()
    session = onnxruntime.InferenceSession(str(folder / "out_post.onnx"))
    [y] = session.run(None, {name: middle})
    np.testing.assert_allclose(y, ran(folder / "net.onnx", x)["y"], atol=1e-5)
    said = command(folder, "convert", "net.onnx", "-o", "out.onnx", "--tail", "auto")
    assert said.code == 2 and "needs a chip" in said.err


def test_a_tail_of_which_nothing_is_cut_off_says_so(folder: Path, command: Command) -> None:
    words = ("convert", "net.onnx", "-o", "out.onnx", "--chip", "kl520", "--tail", "auto")
    assert command(folder, *words).code == 0 and (folder / "out_post.onnx").exists()
    said = command(folder, *words, "--cut-outputs", "relu")
    assert "  the NPU runs every node: nothing was cut off" in said.lines
    assert any(line.startswith(f"removed {folder / 'out_post.onnx'}: ") for line in said.lines)
    assert not (folder / "out_post.onnx").exists()


def test_an_early_tail_is_warned_of(folder: Path, command: Command) -> None:
    words = ("convert", "net.onnx", "-o", "out.onnx", "--chip", "kl520", "--tail", "auto", "--json")
    found = command(folder, *words).json
    assert found["tail"]["removed"] == [
        {"name": "soft", "op": "Softmax", "origin": ["soft"], "reason": "the NPU has no Softmax on kl520"}
    ]
    assert found["tail"]["early"] is False
    model = onnx.load(str(folder / "net.onnx"))
    model.graph.node.insert(3, helper.make_node("Erf", ["i"], ["e"], name="erf"))
    model.graph.node[4].input[0] = "e"
    model.graph.node[5].output[0] = "z"
    model.graph.node.append(helper.make_node("Conv", ["z", "w2"], ["y"], name="late"))
    model.graph.initializer.append(numpy_helper.from_array(numbers(2, 4, 1, 1), "w2"))
    onnx.save(model, str(folder / "net.onnx"))
    said = command(folder, *words[:-1])
    assert "1 of 2 nodes that compute are among those after the chip: replace `erf`" in said.out, said.err


@pytest.mark.parametrize(
    ("words", "where", "what"),
    [
        (("--cut-outputs", "none"), "error: --cut-outputs: the model has no", "`none`"),
        (("--remove-type", "Relu", "--rename", "q=z"), "error: --rename: the model has no", "`q`"),
        (("--remove-type", "Foo"), "error: --remove-type: the model has no", "`Foo`"),
        (("--rename", "x=a", "--rename", "x=b"), "", "--rename gives `x` two names: `a` and `b`"),
        (("--cut-inputs", ","), "", "--cut-inputs names nothing"),
        (("--remove-type", ""), "", "--remove-type names nothing"),
    ],
)
def test_wrong_options_are_named(
    folder: Path, command: Command, words: tuple[str, ...], where: str, what: str
) -> None:
    said = command(folder, "convert", "net.onnx", "-o", "out.onnx", *words)
    assert said.code == 2 and where in said.err and what in said.err, said.err
    assert "edit:" not in said.err and "edit." not in said.err
