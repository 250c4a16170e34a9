"""Runs a Caffe network with OpenCV, and our graph of it with onnxruntime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from modelbuild import importers
from modelbuild.graph import onnx_io
from modelbuild.graph.model import Graph

Array = NDArray[np.float32]


def ours(graph: Graph, **feeds: Array) -> dict[str, Array]:
    """The outputs of `graph` by name."""
    session = onnxruntime.InferenceSession(onnx_io.to_bytes(graph), providers=["CPUExecutionProvider"])
    return dict(zip(graph.outputs, session.run(None, feeds), strict=True))


def imported(files: tuple[Path, Path], **feeds: Array) -> dict[str, Array]:
    """The outputs of the network in the two `files`."""
    return ours(importers.load(files[0], weights=files[1]), **feeds)


def opencv(files: tuple[Path, Path], feeds: dict[str, Array], outputs: list[str]) -> dict[str, Array]:
    """The same by OpenCV's own reader and runtime; the test is skipped where OpenCV is not installed."""
    cv2 = pytest.importorskip("cv2", reason="opencv-python-headless<5, the judge of Caffe, is not installed")
    net = cv2.dnn.readNetFromCaffe(str(files[0]), str(files[1]))
    net.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
    for name, value in feeds.items():
        net.setInput(value, name)
    return dict(zip(outputs, net.forward(outputs), strict=True))


def agree(found: Array, wanted: Array, bound: float = 1e-5) -> None:
    """Asserts one shape, and a difference below `bound` of the range."""
    assert found.shape == wanted.shape
    span = max(float(np.ptp(wanted)), 1e-3)
    assert float(np.abs(found - wanted).max()) <= bound * span
