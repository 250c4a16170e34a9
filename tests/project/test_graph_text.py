"""Mermaid and DOT: whatever things are called, the text says what the graph says."""

from __future__ import annotations

import html
import re
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelbuild.project.graph_text import dot, mermaid, visible
from modelbuild.project.graphing import Edge, Graph, Node

NODE = re.compile(r'  (n\d+)(\[/|\[\(|\[\[|\[)"((?:[\w .,/@():=-]|#\d+;|<br/>)*)"(/\]|\)\]|\]\]|\])')
EDGE = re.compile(r"  (n\d+) (-->|-\.->) (n\d+)")
CLASS = re.compile(r"  classDef ([a-z_]+) fill:#[0-9a-f]{6}|  class (n\d+(?:,n\d+)*) ([a-z_]+)")
DOT_NODE = re.compile(
    r'  (n\d+) \[label="((?:[^"\\\n]|\\["\\n])*)", shape=(\w+)'
    r'(?:, style=filled, fillcolor="#[0-9a-f]{6}")?\];'
)
DOT_EDGE = re.compile(r"  (n\d+) -> (n\d+)( \[style=dashed\])?;")
KINDS = ("file", "samples", "package", "model", "action", "stage")
STATES = (None, "up to date", "out of date", "failed", "unknown")
AWKWARD = (
    *("end", 'a"b', "x\ny", "é日本🎉", "1. list", "- item", "`md`", "<b>", "#35;", "a;b", "%%{init}%%"),
    *("back\\slash", "\\N", "[x](y)", "a & b &lt;", "subgraph", "style n1 fill:#f00;", "__x__", "\u202e"),
    *("\udc80", "{a}", "|p|", "a --> b", "$$x$$", "https://x", "www.x", "", " ", "\t", "a_b:c@d/e.f"),
)
names = st.one_of(st.sampled_from(AWKWARD), st.text(max_size=12))


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    keys = draw(st.lists(st.tuples(st.sampled_from(KINDS), names), min_size=1, max_size=6, unique=True))
    nodes = tuple(Node(*key, ("a", "b"), (), draw(st.sampled_from(STATES))) for key in keys)
    pairs = [(one.id, other.id) for index, one in enumerate(nodes) for other in nodes[index + 1 :]]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    return Graph("action", nodes, tuple(Edge(*pair, draw(st.booleans())) for pair in chosen))


def lines_of(node: Node) -> list[str]:
    """What must be read in the picture."""
    counted = ["2 actions"] if node.kind in {"package", "model", "stage"} else []
    return [visible(node.name), *counted, *([node.state] if node.state else [])]


@settings(max_examples=200, deadline=None)
@given(graphs())
def test_mermaid_says_what_the_graph_says(graph: Graph) -> None:
    first, *rest = mermaid(graph).splitlines()
    assert first == "flowchart LR"
    nodes = [found for line in rest if (found := NODE.fullmatch(line))]
    edges = [found for line in rest if (found := EDGE.fullmatch(line))]
    assert len(nodes) + len(edges) + sum(bool(CLASS.fullmatch(line)) for line in rest) == len(rest)
    ids = {node.id: f"n{index}" for index, node in enumerate(graph.nodes, 1)}
    for node, found in zip(graph.nodes, nodes, strict=True):
        decoded = [
            re.sub(r"#(\d+);", lambda code: chr(int(code[1])), part) for part in found[3].split("<br/>")
        ]
        assert (found[1], decoded) == (ids[node.id], lines_of(node))
    assert [(found[1], found[2], found[3]) for found in edges] == [
        (ids[edge.source], "-.->" if edge.soft else "-->", ids[edge.reader]) for edge in graph.edges
    ]


@settings(max_examples=200, deadline=None)
@given(graphs())
def test_dot_says_what_the_graph_says(graph: Graph) -> None:
    head, direction, font, *rest, tail = dot(graph).split("\n")[:-1]
    assert (head, direction, tail) == ("digraph modelbuild {", "  rankdir=LR;", "}")
    assert font == '  node [fontname="sans-serif"];'
    nodes = [found for line in rest if (found := DOT_NODE.fullmatch(line))]
    edges = [found for line in rest if (found := DOT_EDGE.fullmatch(line))]
    assert len(nodes) + len(edges) == len(rest)
    for node, found in zip(graph.nodes, nodes, strict=True):
        parts = re.sub(r"\\(.)", lambda code: "\n" if code[1] == "n" else code[1], found[2]).split("\n")
        assert [html.unescape(part) for part in parts] == lines_of(node)
    ids = {node.id: f"n{index}" for index, node in enumerate(graph.nodes, 1)}
    assert [(found[1], found[2], bool(found[3])) for found in edges] == [
        (ids[edge.source], ids[edge.reader], edge.soft) for edge in graph.edges
    ]


def test_graphviz_reads_it() -> None:
    program = shutil.which("dot")
    if program is None:
        pytest.skip("graphviz is not installed")
    nodes = tuple(Node("file", name) for name in AWKWARD if name.strip() and name.isprintable())
    text = dot(Graph("action", nodes, (Edge(nodes[0].id, nodes[1].id, soft=True),)))
    done = subprocess.run(
        [program, "-Tsvg"], input=text.encode(), capture_output=True, timeout=60, check=True
    )
    assert done.stderr == b""
    shown = {html.unescape(found) for found in re.findall(r"<text[^>]*>(.*?)</text>", done.stdout.decode())}
    assert {node.name.replace(" ", "\N{NO-BREAK SPACE}") for node in nodes} == {
        text.replace(" ", "\N{NO-BREAK SPACE}") for text in shown
    }


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb", r"a\nb"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\udc80", r"\udc80"),
        ("\u2028", r"\u2028"),
        ("Grün 日本", "Grün 日本"),
    ],
)
def test_what_cannot_be_seen_is_spelt_out(text: str, shown: str) -> None:
    assert visible(text) == shown
