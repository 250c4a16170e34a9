"""Files of timings: what is read from each form, and what is refused."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.errors import ModelbuildError
from modelbuild.formats.kneron_profile import Evaluation, ip_eval_prof
from modelbuild.npu.predicting.measured import Measured, Row, parse, read


def of(text: str, is_yaml: bool = False) -> Measured:
    return parse(text, "times", is_yaml=is_yaml)


@pytest.mark.parametrize(
    "text",
    [
        "layer,ms\nconv1,1.5\nconv2,2\ntotal,4\n",
        "ms, layer\n1.5, conv1\n2, conv2\n4, Total\n",
        '"conv1",1.5\n\nconv2,2.0\ntotal,4\n',
        "node,runtime(ms),SYNC_runtime(ms)\nconv1,9,1.5\nrelu1,N/A,N/A\nconv2,9,2\npool,,\ntotal,9,4\n",
        "Name,us\nconv1,1500\nconv2,2000\ntotal,4000\n",
        "layer;ms\nconv1;1,5\nconv2;2\ntotal;4,0\n",
        "conv1;1,5\nconv2;2\ntotal;4\n",
        'Layer\tms\nconv1\t1.5\n"conv2"\t2\ntotal\t4\n',
        "\ufefflayer,ms\r\nconv1,1.5\r\nconv2,2\r\ntotal,4\r\n".removeprefix("\ufeff"),
    ],
)
def test_tables(text: str) -> None:
    assert of(text) == Measured((Row("conv1", 1.5), Row("conv2", 2.0)), 4.0)


@pytest.mark.parametrize(
    "text",
    [
        "conv1: 1.5\nconv2: 2\ntotal: 4\n",
        "total_ms: 4\nlayers: {conv1: 1.5, conv2: 2}\n",
        "total: 4\nlayers:\n- {name: conv1, ms: 1.5}\n- {layer: conv2, time_ms: 2}\n",
    ],
)
def test_mappings(text: str) -> None:
    assert of(text, True) == Measured((Row("conv1", 1.5), Row("conv2", 2.0)), 4.0)


def test_cycles_are_of_the_chips_clock() -> None:
    stats = (
        "0: {name: MLA_0/a, start_cycle: 0, end_cycle: 99}\n1: {name: b, start_cycle: 100, end_cycle: 149}\n"
    )
    for found in (of(stats, True), of("layer,cycles\nMLA_0/a,100\nb,50\n")):
        assert found.rows == (Row("MLA_0/a", cycles=100), Row("b", cycles=50))
        assert found.total_ms is None
        assert found.rows[0].time(1e6) == 0.1


def test_a_vendors_report_tells_the_total() -> None:
    assert of(ip_eval_prof(Evaluation(12.5, 3.0, 1.0, 10))) == Measured((), 12.5, is_npu=True)
    assert of(ip_eval_prof(Evaluation(12.5, 3.0, 1.0, 10)), True).total_ms == 12.5


def test_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbflayer,ms\na,1\n")
    (tmp_path / "a.yaml").write_text("a: 1\n")
    (tmp_path / "a.bin").write_bytes(b"\xff\x00")
    assert read(tmp_path / "a.csv") == read(tmp_path / "a.yaml") == Measured((Row("a", 1.0),))
    with pytest.raises(ModelbuildError, match="UTF-8"):
        read(tmp_path / "a.bin")
    with pytest.raises(ModelbuildError, match="cannot be read"):
        read(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("text", "is_yaml", "why"),
    [
        ("", False, "0 lines"),
        ("layer,size\na,1\n", False, "sync_runtime"),
        ("size,ms\n1,1\n", False, "layer, name"),
        ("layer,ms\na,\n", False, "none of its lines"),
        ("layer,ms\na,1\n\nb,?\n", False, "line 4"),
        ("a,1\nb,x\n", False, "line 2"),
        ("layer,ms\na,-1\n", False, "-1"),
        ("layer,ms\na,nan\n", False, "nan"),
        ("layer,ms\n,1\n", False, "a line"),
        ("layer,ms\ntotal,1\ntotal,2\n", False, "two totals"),
        ("layer,ms\nca,0,02\n", False, "line 2.*\n.*3 columns, the first line 2"),
        ('layer,ms\nca,"0,02"\n', False, "0,02"),
        ("layer;ms\na;1.500\nb;0,5\n", False, "is not told"),
        ("layer\tms\na\t1,500\nb\t2\n", False, "is not told"),
        ("layer,ms\na,0\nb,0\n", False, "all its times are 0"),
        ("layer,ms\na,1\ntotal,0\n", False, "its total is 0"),
        ("a: 1\nb: 2\na: 3\n", True, "`a` is there twice"),
        ("layers: {a: 1, a: 2}\n", True, "`a` is there twice"),
        ("[1]", True, "not a mapping"),
        ("{}", True, "not a mapping"),
        ("a: &x 1\nb: *x\n", True, "aliases"),
        ("a: true\n", True, "True"),
        ("layers: 3\n", True, "neither a mapping"),
        ("layers: [{name: a}]\n", True, "is not {name, ms}"),
        ("a: {b: 1}\n", True, "'a' has the time"),
        ("0: {name: a}\n", True, "no start_cycle"),
        ("a: [", True, "expected"),
    ],
)
def test_anything_else_is_refused(text: str, is_yaml: bool, why: str) -> None:
    with pytest.raises(ModelbuildError, match=why) as caught:
        of(text, is_yaml)
    assert caught.value.exit_code == 2


@given(st.text(max_size=60), st.booleans())
def test_no_text_is_a_crash(text: str, is_yaml: bool) -> None:
    with contextlib.suppress(ModelbuildError):
        of(text, is_yaml)
