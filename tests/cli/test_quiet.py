"""`-q`: a verb whose result is its text prints it; progress, remarks and summaries are left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Command

WORDS = {
    "evaluate": ("evaluate", "small.onnx", "--chip", "kl720"),
    "evaluate of a manifest": ("evaluate",),
    "evaluate side by side": ("evaluate", "small.onnx", "--compare", "kl520,kl720"),
    "diff": ("diff", "small.onnx", "small.onnx"),
    "graph": ("graph",),
    "chips": ("chips",),
    "chip": ("chips", "kl720"),
    "config": ("config", "small@nef"),
    "status": ("status",),
    "why": ("why", "small@nef:compile"),
    "schema": ("schema",),
    "dry run": ("build", "--dry-run"),
}


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
def test_a_text_that_is_asked_for_is_printed(small: Path, command: Command, words: tuple[str, ...]) -> None:
    loud, quiet = command(small, *words), command(small, *words, "-q")
    assert quiet.out == loud.out != "" and quiet.code == loud.code
    assert quiet.err == ""


@pytest.mark.parametrize(
    "words",
    [("build",), ("check",), ("inspect", "small.onnx"), ("graph", "-o", "g.mmd"), ("clean",)],
    ids=lambda words: words[0],
)
def test_what_was_done_is_not(copied: Path, command: Command, words: tuple[str, ...]) -> None:
    said = command(copied, *words, "-q")
    assert (said.out, said.err, said.code) == ("", "", 0)
