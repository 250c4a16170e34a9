"""Random graphs, contents and choices for the state machine."""

from __future__ import annotations

from hypothesis import strategies as st
from pure_model import Graph, Node

NAMES = ["f0.txt", "f1.txt", "f2.txt"]
NAMING = ["use f1.txt", "use f2.txt"]  # twice, for chains of files are what is hard to follow
CONTENTS = ["a", "b", "BAD", "BROKEN", *NAMING, *NAMING, "use f2.txt\nuse f0.txt", "use no"]
MOST = 5  # nodes
JOBS = st.sampled_from([1, 2, 4, 0, 0])  # 0: nothing is built after this edit
name = st.sampled_from(NAMES)
content = st.sampled_from(CONTENTS)


@st.composite
def nodes(draw: st.DrawFn, index: int) -> Node:
    """A node that reads only from those before it."""
    before = st.lists(st.integers(0, index - 1), max_size=2, unique=True) if index else st.just([])
    hard, soft = draw(before), draw(before)
    file = draw(st.sampled_from([None, NAMES[0], *NAMES]))
    return Node(
        file,
        text=draw(st.sampled_from(["", "t"])),
        version=draw(st.sampled_from("12")),
        upper=draw(st.booleans()),
        strict=draw(st.booleans()),
        always=draw(st.integers(0, 3)) == 0,
        discovers=file is not None and draw(st.integers(0, 2)) > 0,
        hard=tuple(sorted(hard)),
        soft=tuple(sorted({*soft} - {*hard})),
    )


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    return tuple(draw(nodes(index)) for index in range(draw(st.integers(1, MOST))))
