"""Names are numbered where they are taken."""

from __future__ import annotations

from modelbuild.quantize.names import Names


def test_a_taken_name_is_numbered() -> None:
    names = Names(["a", "b/2"])
    assert [names.fresh(wanted) for wanted in ("b", "a", "a", "b", "c")] == ["b", "a/2", "a/3", "b/3", "c"]
