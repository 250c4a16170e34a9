"""Weights of kmodels as numbers: of the KPU's layers, of layers for the CPU, of constants that code reads."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelbuild.artifacts.differing import diff
from modelbuild.artifacts.differing_kmodel import weights
from modelbuild.formats.kmodel import stackvm_isa
from tests.formats import kmodel_sources as sources

KERNELS = bytes(range(9 * 3 * 4))


def changed(tmp_path: Path, a: bytes, b: bytes) -> dict[str, Any]:
    for name, data in (("a", a), ("b", b)):
        (tmp_path / f"{name}.kmodel").write_bytes(data)
    found = diff(tmp_path / "a.kmodel", tmp_path / "b.kmodel")["weights"]
    return {item["name"]: item for item in found if not item["equal"]}


@pytest.mark.parametrize(("make", "layer"), [(sources.version3, "layer 0"), (sources.version4, "layer 1")])
def test_codes_of_the_kpu_less_their_zero_point(tmp_path: Path, make: Any, layer: str) -> None:
    data = make()
    codes = weights(data)[f"{layer}/weights"]
    assert codes.scale is not None and codes.scale[1].item() == 128.0
    assert np.array_equal(np.asarray(codes.load()).reshape(-1), np.frombuffer(KERNELS, np.uint8))
    found = changed(tmp_path, data, data.replace(KERNELS, KERNELS[:-1] + b"\x6d"))
    entry = found[f"{layer}/weights"]
    real = np.frombuffer(KERNELS, np.uint8).astype(float) - 128
    assert entry["max_abs"] == 2.0 and entry["a"]["shape"] == [4, 3, 3, 3]
    assert entry["snr_db"] == pytest.approx(10 * np.log10(np.sum(real * real) / 4))


def test_batch_normalization_and_curves(tmp_path: Path) -> None:
    data = sources.version3()
    other = data.replace(sources.batch_norm(4), sources.batch_norm(4)[:8] * 4)
    found = changed(tmp_path, data, other)
    assert found["layer 0/factor"]["snr_db"] is not None or found["layer 0/add"]["snr_db"] is not None
    assert "as numbers" in found["layer 0/batch_norm"]["why"]
    curve = changed(tmp_path, data, data.replace(sources.activation(), bytes(len(sources.activation()))))
    assert curve["layer 0/activation"]["why"] == "the pieces of a curve, which are no numbers of one scale"


def test_numbers_behind_layers_for_the_cpu(tmp_path: Path) -> None:
    data = sources.version3()
    numbers = struct.pack("<12f", *range(12))
    entry = changed(tmp_path, data, data.replace(numbers, struct.pack("<12f", *range(11), 12)))
    (found,) = entry.values()
    assert found["name"] == "layer 3 (fully_connected)/weights"
    assert found["snr_db"] == pytest.approx(10 * np.log10(506)) and found["a"]["dtype"] == "float32"
    fourth = weights(sources.version4())
    assert np.asarray(fourth["layer 4 (conv2d)/weights"].load()).shape == (54,)


def code(offset: int = 8) -> bytes:
    """output = input * constants[offset:], a number a channel."""
    names = stackvm_isa.tables()[0].names
    shape, strides = sources.SHAPE, (768, 256, 16, 1)
    made = sources.store(0, shape) + sources.store(1, strides)
    made += sources.store(2, (3, 1, 1)) + sources.store(3, (1, 0, 0))
    made += sources.lea(0, 0) + sources.lea(2, offset) + sources.lea(1, 0)
    operands = bytes((9, 0, 1, 2, 3, 0, 1, 2)) + struct.pack("<2f", -1e30, 1e30)
    return made + sources.tensor(names.index("binary"), operands)


def test_constants_that_code_reads(tmp_path: Path) -> None:
    def program(values: tuple[float, ...]) -> bytes:
        return sources.version5(code=code(), constants=bytes(8) + struct.pack("<3f", *values))

    found = changed(tmp_path, program((1, 2, 3)), program((1, 2, 4)))
    entry = found["module 0 function 0 0 (binary)/input_b"]
    assert entry["snr_db"] == pytest.approx(10 * np.log10(14)) and entry["a"]["shape"] == [3, 1, 1]
    assert "stand as numbers" in found["module 0 (stackvm)/.rdata"]["why"]
    beyond = weights(sources.version5(code=code(12), constants=bytes(20)))
    assert not any("binary" in name for name in beyond)  # the last number would lie outside


def test_a_section_that_is_closed_says_so(tmp_path: Path) -> None:
    data = sources.later(7)
    found = changed(tmp_path, data, data.replace(bytes(100), b"1" * 100))
    assert found["module 1 (k230)/.rdata"]["why"] == "the layout of this section is not public"


def test_real_files(shared_data: Path) -> None:
    for name, layer, zero in (
        ("v3_face_detect", "layer 1", 124.0),
        ("v5_small_k210", "module 1 function 0 operation 1", 128.0),
    ):
        data = (shared_data / f"artifacts/kmodel/{name}.kmodel").read_bytes()
        codes = weights(data)[f"{layer}/weights"]
        assert np.asarray(codes.load()).ndim == 4 and codes.scale is not None
        assert codes.scale[1].item() == zero
