"""The quantization of a source survives copies, files, passes and edits, and never lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.graph import edits, kept_quantization, onnx_io
from modelbuild.graph.kept_quantization import KEY, Kept, derived, dropped, keep, kept, renamed, scaled
from modelbuild.graph.normalise import normalise
from modelbuild.graph.passes import remove_no_ops
from modelbuild.graph.rewrite import Editor, copied
from tests.graph.small import graph

HALF = Kept("uint8", (0.5,), (3,))
QUARTER = Kept("int8", (0.25,), (-128,))


def test_entries_survive_a_copy_and_a_file(tmp_path: Path) -> None:
    found = graph([("Relu", "x", "a"), ("Neg", "a", "y")])
    weights = Kept("int8", (0.1, 0.3), (0, 0), 0)
    keep(found, {"a": HALF})
    keep(found, {"x": weights})
    onnx_io.write(copied(found), tmp_path / "model.onnx")
    assert kept(onnx_io.read(tmp_path / "model.onnx")) == {"a": HALF, "x": weights}


def test_entries_of_tensors_that_are_gone_are_left_out() -> None:
    found = graph([("Relu", "x", "y")])
    keep(found, {"gone": HALF, "y": QUARTER})
    assert kept(found) == {"y": QUARTER}
    assert kept(graph([("Relu", "x", "y")])) == {}


def test_the_range_is_that_of_all_codes() -> None:
    assert HALF.range() == (-1.5, 126.0)
    assert QUARTER.range() == (0.0, 63.75)


def test_renaming_moves_an_entry_and_dropping_forgets_it() -> None:
    found = graph([("Relu", "x", "a"), ("Neg", "a", "y")])
    keep(found, {"a": HALF, "y": QUARTER})
    renamed(found, "nothing", "b")
    renamed(found, "a", "x")
    assert kept(found) == {"x": HALF, "y": QUARTER}
    dropped(found, "y")
    dropped(found, "x")
    assert kept(found) == {} and KEY not in found.metadata


PER_CHANNEL = Kept("int8", (0.1, 0.2, 0.3), (1, -2, 0), 0)


def laid_out(change: Any, entry: Kept = PER_CHANNEL) -> Kept | None:
    found = graph([("Add", "x w", "y")], {"w": np.ones((3, 1, 2, 2), np.float32)}, x=(1, 1, 2, 2))
    keep(found, {"w": entry})
    found.constants["new"] = change(found.constants["w"])
    derived(found, "w", "new", change)
    return kept(found).get("new")


def test_a_constant_laid_out_otherwise_keeps_its_channels() -> None:
    moved = laid_out(lambda w: np.transpose(w, (2, 3, 1, 0)))
    assert moved == Kept("int8", PER_CHANNEL.scale, PER_CHANNEL.zero_point, 3)
    assert laid_out(lambda w: w.reshape(3, 4)) == laid_out(lambda w: np.pad(w, ((0, 0),) * 3 + ((1, 2),)))
    assert laid_out(lambda w: w[[2, 0]]) == Kept("int8", (0.3, 0.1), (0, 1), 0)
    assert laid_out(lambda w: np.concatenate([w, w], 1)) == PER_CHANNEL
    assert laid_out(lambda w: w[1:2]) == Kept("int8", (0.2,), (-2,))
    assert laid_out(lambda w: w.reshape(-1)) == Kept(
        "int8", tuple(s for s in PER_CHANNEL.scale for _ in range(4)), (1,) * 4 + (-2,) * 4 + (0,) * 4, 0
    )
    assert laid_out(lambda w: w.reshape(2, 6)) is None  # channels share rows and columns
    assert laid_out(lambda w: w.reshape(2, 6), HALF) == HALF


def test_a_scaled_constant_has_scaled_scales() -> None:
    found = graph([("Add", "x w", "y")], {"w": np.ones((3, 1, 2, 2), np.float32)}, x=(1, 1, 2, 2))
    keep(found, {"w": PER_CHANNEL, "x": HALF})
    found.constants["new"] = found.constants["w"]
    factors = np.array([2.0, -4.0, -1.0])
    scaled(found, "w", "new", factors, 0)
    assert kept(found)["new"] == Kept("int8", (0.2, 0.8, 0.3), (1, 1, 0), 0)  # -2 turns to -128 + 127 + 2
    scaled(found, "x", "new", factors, 1)
    assert kept(found)["new"] == Kept("uint8", (1.0, 2.0, 0.5), (3, 252, 252), 1)
    dropped(found, "new")
    scaled(found, "w", "new", factors, 1)
    assert "new" not in kept(found)
    scaled(found, "w", "new", np.array([0.5]), 1)
    assert kept(found)["new"] == Kept("int8", (0.05, 0.1, 0.15), (1, -2, 0), 0)


@pytest.mark.parametrize("entry", [Kept("int8", (0.5,), (0,)), Kept("int8", (0.5, 0.5), (0, 0), 0)])
def test_the_lowest_code_of_a_symmetric_type_turns_with_its_zero_point(entry: Kept) -> None:
    """Its opposite, 128, is no code: of that channel -128 becomes 127, and 0 becomes -1."""
    codes = np.array([[-128, 5], [-127, 5]])
    found = graph([("Add", "x w", "y")], {"w": codes * np.float32(0.5)}, x=(2, 2))
    keep(found, {"w": entry})
    scaled(found, "w", "new", np.array([-2.0, -2.0]), 0)
    assert kept_quantization.entry(found, "new") == Kept("int8", (1.0, 1.0), (-1, 0), 0)
    scaled(found, "w", "positive", np.array([2.0]), 0)
    positive = kept_quantization.entry(found, "positive")
    assert positive is not None and set(positive.zero_point) == {0}


def test_the_entries_of_a_file_are_parsed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = graph([("Relu", "x", "a"), ("Identity", "a", "b"), ("Neg", "b", "y")])
    keep(found, {"a": HALF, "b": HALF})
    onnx_io.write(found, tmp_path / "model.onnx")
    again, parsed = onnx_io.read(tmp_path / "model.onnx"), list[str]()
    monkeypatch.setattr(kept_quantization, "_parsed", lambda text, real=kept_quantization._parsed: (
        parsed.append(text), real(text))[1])  # fmt: skip
    clean, _ = normalise(again)
    assert kept(clean) and kept(again) and len(parsed) <= 2  # of the graph, and of its copy


def test_the_edit_rename_renames_the_entry() -> None:
    found = graph([("Relu", "x", "a"), ("Neg", "a", "y")])
    keep(found, {"a": HALF, "x": QUARTER})
    assert kept(edits.apply(found, [{"rename": {"a": "middle", "x": "input"}}])) == {
        "middle": HALF,
        "input": QUARTER,
    }


def test_a_no_op_at_the_border_passes_its_inputs_entry_on() -> None:
    found = graph([("Relu", "x", "a"), ("Identity", "a", "y")])
    keep(found, {"a": HALF})
    remove_no_ops.run(found)
    assert kept(found) == {"y": HALF}


def test_the_entry_of_the_output_itself_wins_over_that_of_a_no_ops_input() -> None:
    found = graph([("Relu", "x", "a"), ("Identity", "a", "y")])
    keep(found, {"a": HALF, "y": QUARTER})
    remove_no_ops.run(found)
    assert kept(found) == {"y": QUARTER}


def test_a_tensor_between_two_merged_nodes_loses_its_entry() -> None:
    found = graph([("Relu", "x", "a"), ("Neg", "a", "y")])
    keep(found, {"a": HALF})
    editor = Editor(found)
    editor.absorb(found.nodes[0], found.nodes[1])
    editor.close()
    assert kept(found) == {}


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "[]",
        "[" * 100_000,
        '{"y": 1}',
        '{"y": {"dtype": "float", "scale": [1], "zero_point": [0], "axis": null}}',
        '{"y": {"dtype": [], "scale": [1], "zero_point": [0], "axis": null}}',
        '{"y": {"dtype": "int8", "scale": [0], "zero_point": [0], "axis": null}}',
        '{"y": {"dtype": "int8", "scale": [Infinity], "zero_point": [0], "axis": null}}',
        '{"y": {"dtype": "int8", "scale": [1], "zero_point": [300], "axis": null}}',
        '{"y": {"dtype": "int8", "scale": [1, 2], "zero_point": [0, 0], "axis": null}}',
        '{"y": {"dtype": "int8", "scale": [1, 2], "zero_point": [0], "axis": 0}}',
    ],
)
def test_damaged_metadata_is_refused(text: str) -> None:
    found = graph([("Relu", "x", "y")])
    found.metadata[KEY] = text
    with pytest.raises(ModelbuildError, match="is damaged"):
        kept(found)
