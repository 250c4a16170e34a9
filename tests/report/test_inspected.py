"""The page of `inspect` and of `diff`."""

from __future__ import annotations

import copy
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from modelbuild.artifacts.differing import diff
from modelbuild.artifacts.inspect import inspect
from modelbuild.artifacts.kinds import Kind
from modelbuild.errors import ModelbuildError
from modelbuild.report import inspected
from tests.artifacts.test_kinds import CONTENTS
from tests.formats import kmodel_sources

EVIL = "<script>alert('x')</script>\"&\x1b[2J"
KINDS = (Kind.ONNX, Kind.NEF, Kind.MPK, Kind.TAR_GZ, Kind.TAR, Kind.SIMA, Kind.ZIP, Kind.ELF)


class Reader(HTMLParser):
    """Tags that close in order, and what the page would load or run."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.texts: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"meta"}:
            self.open.append(tag)
        self.loads += [tag] if tag in {"script", "link", "img", "iframe", "object"} else []
        self.loads += [
            name for name, _ in attrs if name in {"src", "href", "srcset"} or name.startswith("on")
        ]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def poisoned(value: Any) -> Any:
    """The same object with markup in every text and key."""
    if isinstance(value, dict):
        return {key: poisoned(item) for key, item in value.items()} | {f"new {EVIL}": EVIL}
    if isinstance(value, list):
        return [poisoned(item) for item in value]
    return f"{value}{EVIL}" if isinstance(value, str) else value


@pytest.mark.parametrize("kind", KINDS)
def test_pages_load_nothing_and_escape_everything(kind: Kind, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(CONTENTS[kind])
    found = inspect(tmp_path / "file")
    page = inspected.page(found, "file")
    assert Reader(page).loads == [] and page == inspected.page(copy.deepcopy(found), "file")
    assert str(tmp_path) not in page and page.encode().startswith(inspected.BEGINNING)
    bad = inspected.page(poisoned(found), EVIL)
    assert "<script" not in bad and "\x1b" not in bad and Reader(bad).loads == []


def test_what_it_shows(tmp_path: Path) -> None:
    (tmp_path / "net.kmodel").write_bytes(kmodel_sources.version3(trailing=b"odd bytes"))
    found = inspect(tmp_path / "net.kmodel")
    assert not all(part["known"] for part in found["parts"])
    page = inspected.page(found, "net.kmodel")
    texts = Reader(page).texts
    for part in found["parts"]:
        assert part["what"] in texts and f"0x{part['offset']:08x}" in texts
    assert page.count('<tr class="bad">') == sum(not part["known"] for part in found["parts"])
    assert 'class="bar unknown"' in page and "layers within the limits of the KPU" in texts
    assert "layer list (1)" in texts or any(text.startswith("layer list") for text in texts)


def test_the_picture_of_the_bytes() -> None:
    parts = [
        {"offset": 0, "size": 500, "what": "outer", "known": True},
        {"offset": 100, "size": 300, "what": "inner", "known": True},
        {"offset": 500, "size": 250, "what": "padding", "known": True},
        {"offset": 750, "size": 250, "what": "what?", "known": False},
    ]
    bars = inspected.byte_map(parts, 1000)
    assert [(bar["x"], bar["width"], bar["row"], bar["kind"]) for bar in bars] == [
        (0.0, 500.0, 0, "known"),
        (100.0, 300.0, 1, "known"),
        (500.0, 250.0, 0, "padding"),
        (750.0, 250.0, 0, "unknown"),
    ]
    small = [{"offset": i, "size": 1, "what": f"p{i}", "known": i != 7} for i in range(100_000)]
    bars = inspected.byte_map(small, 100_000)
    assert len(bars) <= 1001 and sum(bar["kind"] == "unknown" for bar in bars) == 1
    assert sum(bar["more"] + 1 for bar in bars) == 100_000
    assert inspected.byte_map([], 0) == []


def test_only_pages_of_ours_are_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out.html"
    inspected.write(out, inspected.BEGINNING.decode() + "one")
    inspected.write(out, inspected.BEGINNING.decode() + "two")
    assert out.read_bytes().endswith(b"two")
    out.write_text("<!DOCTYPE html>\n<p>mine</p>")
    for path in (out, tmp_path, tmp_path / "no" / "out.html"):
        with pytest.raises(ModelbuildError) as caught:
            inspected.write(path, "x")
        assert caught.value.exit_code == 2
    assert "mine" in out.read_text()
    out.write_bytes(b"")
    inspected.write(out, "x")


def test_the_page_of_a_difference(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(CONTENTS[Kind.MPK])
    (tmp_path / "b").write_bytes(CONTENTS[Kind.MPK][:-8] + bytes(8))
    (tmp_path / "c").write_bytes(kmodel_sources.version3())
    (tmp_path / "d").write_bytes(kmodel_sources.version4())
    for one, other in (("a", "b"), ("c", "d"), ("a", "a")):
        found = diff(tmp_path / one, tmp_path / other)
        page = inspected.page_of_diff(found)
        assert Reader(page).loads == [] and page == inspected.page_of_diff(found)
        bad = inspected.page_of_diff(poisoned(found))
        assert "<script" not in bad and Reader(bad).loads == []


def test_numbers_stay_whole_and_long_texts_break() -> None:
    """On a narrow screen a cell that may break anywhere is squeezed until digits stand below each other."""
    checksums = [{"what": "w" * 40, "stored": 1, "computed": 1, "ok": True}]
    content = inspected.page(
        {"format": "nef", "size": 1, "silicon": None, "checksums": checksums, "models": []}, "a"
    )
    assert f'<td class="long">{"w" * 40}</td><td>0x00000001</td>' in content
    style = content[content.index("<style>") : content.index("</style>")]
    assert ".dense td { overflow-wrap: break-word;" in style
    assert ".dense td.long { overflow-wrap: anywhere;" in style
