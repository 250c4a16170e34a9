"""The quantization of a source survives copies, files, passes and edits, and never lies."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.graph import edits, onnx_io
from modelbuild.graph.kept_quantization import KEY, Kept, derived, dropped, keep, kept, renamed
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


def test_a_constant_laid_out_otherwise_keeps_its_channels() -> None:
    found = graph([("Relu", "x", "a"), ("Neg", "a", "y")])
    keep(found, {"x": Kept("int8", (0.1, 0.3), (0, 0), 1), "y": HALF})
    derived(found, "x", "a", (1, 0))
    derived(found, "nothing", "y", (0,))
    assert kept(found)["a"] == Kept("int8", (0.1, 0.3), (0, 0), 0)
    derived(found, "y", "x", ())
    assert kept(found)["x"] == HALF


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
