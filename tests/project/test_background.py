"""Builds in the background: one at a time, and none that was asked for is forgotten."""

from __future__ import annotations

from pathlib import Path

from modelbuild.project import background

NOTHING = ("true",)  # a process that serves nobody


def test_every_manifest_of_the_folder_is_served(tmp_path: Path) -> None:
    asked = ["a%2F.yaml", "a.yaml", "sub/b.yaml", "sub_b.yaml"]
    for file in asked:
        assert background.trigger(tmp_path, file, NOTHING)
    built: list[str] = []
    background.serve(tmp_path, built.append)
    assert sorted(built) == asked
    background.serve(tmp_path, built.append)
    assert len(built) == 4


def test_a_wish_for_another_manifest_in_the_middle_of_a_build(tmp_path: Path) -> None:
    built: list[str] = []

    def build(file: str) -> None:
        if not built:
            assert background.is_running(tmp_path)
            assert not background.trigger(tmp_path, "b.yaml", NOTHING)  # who builds will see to it
            assert not background.trigger(tmp_path, "a.yaml", NOTHING)
            background.serve(tmp_path, lambda file: built.append("beside"))  # a process that comes too late
        built.append(file)

    assert background.trigger(tmp_path, "a.yaml", NOTHING)
    background.serve(tmp_path, build)
    assert built == ["a.yaml", "a.yaml", "b.yaml"]
    assert not background.is_running(tmp_path)
