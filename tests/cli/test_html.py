"""`inspect --html` and `diff --html`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Command


@pytest.mark.parametrize("words", [("inspect", "net.onnx"), ("diff", "net.onnx", "net.onnx")])
def test_a_page_beside_the_text(folder: Path, command: Command, words: tuple[str, ...]) -> None:
    said = command(folder, *words, "--html", "out.html")
    assert said.code == 0 and said.out == command(folder, *words).out
    page = (folder / "out.html").read_bytes()
    assert page.startswith(b"<!DOCTYPE html>\n<!-- modelbuild") and b"net.onnx" in page
    assert command(folder, *words, "--html", "out.html", "--json").code == 0
    source = (folder / "net.onnx").read_bytes()
    refused = command(folder, *words, "--html", "net.onnx")
    assert refused.code == 2 and "--html would overwrite a file that is no such page" in refused.err
    assert (folder / "net.onnx").read_bytes() == source
