"""Outputs onto devices and pipes: what lies there stays, and is never read or waited for."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Command
from tests.cli.exported_model import SHAPE
from tests.formats.nef_sources import build, source
from tests.streams import is_device, null_device, read_fifo

WRITERS = [
    "inspect a.nef --html OUT",
    "diff a.nef a.nef --html OUT",
    "nef combine a.nef -o OUT",
    "nef set a.nef --id 32768=5 -o OUT",
    "nef generate output/fw_info.bin output/all_models.bin --chip kl720 -o OUT",
    "nef encrypt a.nef --efuse-key env:MB_E -o OUT",
    "nef decrypt a.enc --efuse-key env:MB_E -o OUT",
    "run net.onnx --input x.npy -o OUT",
]


@pytest.fixture
def here(folder: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the verbs read."""
    monkeypatch.setenv("MB_E", "A0" * 32)
    (folder / "a.nef").write_bytes(build("720", "flatbuffer", 0x80000000, source(0)))
    np.save(folder / "x.npy", np.zeros(SHAPE, np.float32))
    assert command(folder, "nef", "extract", "a.nef").code == 0
    assert command(folder, *shlex.split("nef encrypt a.nef --efuse-key env:MB_E -o a.enc")).code == 0
    return folder


@pytest.mark.parametrize("words", WRITERS)
def test_devices_stay_and_pipes_get_what_is_written(here: Path, command: Command, words: str) -> None:
    assert command(here, *words.replace("OUT", "file.npz").split()).code == 0
    with read_fifo(here / "pipe") as found:
        assert command(here, *words.replace("OUT", "pipe").split()).code == 0
    assert found == [(here / "file.npz").read_bytes()]
    os.mkfifo(here / "unread")
    assert command(here, *words.replace("OUT", "unread").split()).code == 2
    device = null_device(here / "null")
    assert command(here, *words.replace("OUT", "null").split()).code == 0
    assert is_device(device)


def test_a_model_is_not_written_into_a_device(here: Path, command: Command) -> None:
    """`convert` may write a second file beside it."""
    os.mkfifo(here / "pipe.onnx")
    said = command(here, "convert", "net.onnx", "-o", "pipe.onnx", "--force")
    assert said.code == 2 and "pipe.onnx is no regular file" in said.err
    device = null_device(here / "null.onnx")
    assert command(here, "convert", "net.onnx", "-o", "null.onnx").code == 2 and is_device(device)


def test_a_graph_goes_into_a_device(copied: Path, command: Command) -> None:
    device = null_device(copied / "null.mmd")
    assert command(copied, "graph", "-o", "null.mmd").code == 0 and is_device(device)
    with read_fifo(copied / "pipe.mmd") as found:
        assert command(copied, "graph", "-o", "pipe.mmd").code == 0
    assert found[0].startswith(b"flowchart LR")
