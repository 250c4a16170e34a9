"""Edits that stand in no manifest are held to the same rules, whoever wrote them."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.project import edit_file

EDITS = """\
- shape: {x: [1, 3, 8, 8]}
- swap_channels: {input: x, order: [2, 1, 0]}
- insert: {at: y, op: Transpose, attributes: {perm: [1, 0]}}
"""


def test_numbers_stay_numbers_on_every_way(tmp_path: Path) -> None:
    """1 equals true, and 0 false, in Python; no edit may take one for the other."""
    path = tmp_path / "edits.yaml"
    path.write_text(EDITS)
    for edits in (edit_file.read(path), edit_file.checked(edit_file.read(path), "edits.yaml")):
        shape, swapped, inserted = edits
        found = [
            *shape["shape"]["x"],
            *swapped["swap_channels"]["order"],
            *inserted["insert"]["attributes"]["perm"],
        ]
        assert [(type(value), value) for value in found] == [
            (int, value) for value in (1, 3, 8, 8, 2, 1, 0, 1, 0)
        ]


def test_what_is_no_edit_is_told_at_its_place(tmp_path: Path) -> None:
    path = tmp_path / "edits.yaml"
    path.write_text("edit:\n  - cutt: {outputs: [y]}\n")
    with pytest.raises(ModelbuildError) as caught:
        edit_file.read(path)
    assert "edits.yaml:2:5" in str(caught.value) and "did you mean `cut`?" in str(caught.value)
    path.write_text("edits: []\n")
    with pytest.raises(ModelbuildError, match="`edits` is no edit"):
        edit_file.read(path)
