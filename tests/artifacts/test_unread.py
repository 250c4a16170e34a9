"""Files that are not read: what they seem to be, where they end, and what to do."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from modelbuild.artifacts.differing import diff
from modelbuild.artifacts.inspect import inspect
from modelbuild.artifacts.kinds import Kind
from modelbuild.errors import ModelbuildError, Problem
from tests.artifacts.test_kinds import CONTENTS
from tests.formats import kmodel_sources


def refused(path: Path) -> Problem:
    with pytest.raises(ModelbuildError) as caught:
        inspect(path)
    assert caught.value.exit_code == 2
    return caught.value.problems[0]


def written(folder: Path, name: str, data: bytes) -> Path:
    (folder / name).write_bytes(data)
    return folder / name


def test_a_truncated_package_is_told_with_the_place(tmp_path: Path) -> None:
    nef = refused(written(tmp_path, "a.nef", CONTENTS[Kind.NEF][:1000]))
    assert "is no NEF file, or only a part of one" in nef.what
    assert "offset 0x" in nef.why and "past its 1000 bytes" in nef.why
    cut = refused(written(tmp_path, "a.kmodel", kmodel_sources.version3()[:40]))
    assert "is no kmodel file, or only a part of one" in cut.what and cut.why.startswith("offset 0x")
    text = refused(written(tmp_path, "hello.nef", b"hello, this is text\n"))
    assert "is no NEF file" in text.what and text.why == ""


def test_a_gzip_that_holds_no_whole_archive(tmp_path: Path) -> None:
    told = refused(written(tmp_path, "a.tar.gz", gzip.compress(b"x" * 700)))
    assert "no complete tar archive" in told.what and told.why.startswith("offset 0x")


def test_other_bytes_behind_an_onnx_model(tmp_path: Path) -> None:
    model = CONTENTS[Kind.ONNX]
    told = refused(written(tmp_path, "a.onnx", model + b"abcde"))
    assert told.what.endswith("is an ONNX model with other bytes behind it, or damaged")
    assert told.why == f"at offset 0x{len(model):x} there are 5 bytes that are none of its own"
    assert "is no ONNX file" in refused(written(tmp_path, "b.onnx", b"hello, this is text\n")).what


@pytest.mark.parametrize(
    ("name", "what", "advice"),
    [
        ("net.caffemodel", "holds the weights of a Caffe network", "inspect the .prototxt"),
        ("mean.binaryproto", "holds an array of Caffe's", ".npy"),
        ("digits.quant.txt", "is a quantization record of modelbuild", "editor"),
        ("digits.json", "is JSON", "editor"),
    ],
)
def test_files_that_go_with_others(name: str, what: str, advice: str, tmp_path: Path) -> None:
    told = refused(written(tmp_path, name, b"\x0a\x03net\xff\xff\xff" if "proto" in name else b"# words\n"))
    assert what in told.what and advice in told.advice and "damaged" not in told.what + told.advice


def test_a_link_that_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").symlink_to("gone.onnx")
    assert refused(tmp_path / "a.onnx").what == "a.onnx is a link to gone.onnx, which is not there"
    assert refused(tmp_path / "b.onnx").what == "b.onnx is not there"


def test_diff_says_what_is_wrong_with_the_file(tmp_path: Path) -> None:
    whole = written(tmp_path, "a.nef", CONTENTS[Kind.NEF])
    for name, data, what in (
        ("cut.nef", CONTENTS[Kind.NEF][:1000], "no NEF file, or only a part of one"),
        ("empty.nef", b"", "is empty"),
    ):
        with pytest.raises(ModelbuildError, match=what) as caught:
            diff(whole, written(tmp_path, name, data))
        assert "compare" not in caught.value.problems[0].advice
    with pytest.raises(ModelbuildError) as caught:
        diff(whole, written(tmp_path, "a.zip", CONTENTS[Kind.ZIP]))
    assert caught.value.problems[0].advice == "name two files of one kind"
    with pytest.raises(ModelbuildError) as caught:
        diff(whole, written(tmp_path, "a.onnx", CONTENTS[Kind.ONNX]))
    assert "compare" in caught.value.problems[0].advice
