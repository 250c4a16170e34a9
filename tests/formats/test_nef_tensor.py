"""How tensors lie in memory by a NEF's format codes."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from modelbuild.formats import nef
from modelbuild.formats.nef_tensor import LAYOUTS, geometry, input_format, layout_bytes, planar_format


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((1, 3, 6, 10), (3, 6, 10)),
        ((1, 3, 10), (3, 1, 10)),
        ((1, 3), (3, 1, 1)),
        ((1,), (1, 1, 1)),
        ((1, 3, 4, 5, 6), (3, 4, 30)),
    ],
)
def test_shapes_become_channel_row_column(shape: tuple[int, ...], expected: tuple[int, int, int]) -> None:
    assert geometry(shape) == expected


@pytest.mark.parametrize(
    ("platform", "code", "shape", "size"),
    [
        ("720", 5, (1, 3, 6, 10), 3 * 6 * 16),  # 16W1C8B
        ("720", 6, (1, 3, 6, 10), 3 * 6 * 16 * 2),  # 8W1C16B
        ("720", 0, (1, 17, 6, 10), 32 * 6 * 10),  # 1W16C8B
        ("720", 4, (1, 3, 6, 20), 4 * 6 * 32),  # 4W4C8B
        ("520", 8, (2, 10), 2 * 10 * 16),
        ("730", 100, (1, 3, 6, 10), 180),  # RAW8
        ("730", 102, (1, 3, 6, 10), 360),  # RAW16
        ("730", 77, (1, 3, 6, 10), 180),  # in no table
    ],
)
def test_sizes_are_those_of_the_layout(platform: str, code: int, shape: tuple[int, ...], size: int) -> None:
    assert layout_bytes(platform, code, shape) == size


def test_the_codes_that_are_written_are_dense_where_the_platform_has_such_a_code() -> None:
    for platform, layouts in LAYOUTS.items():
        names = {layouts[planar_format(platform, 8)], layouts[input_format(platform, 8)]}
        dense = "RAW8" in layouts.values()
        assert names == ({"RAW8"} if dense else {"16W1C8B", "4W4C8B"} if platform == "520" else {"16W1C8B"})


def test_the_vendors_tensors_lie_as_their_layouts_say(shared_data: Path) -> None:
    for model in nef.read((shared_data / "artifacts/nef/kl520_ssd_fd_lm.nef").read_bytes()).models:
        assert model.regions is not None
        (given,) = model.inputs
        assert layout_bytes("520", given.format, given.shape) == model.regions.input.size
        ends = [*(tensor.address for tensor in model.outputs)]
        ends.append(model.regions.output.address + model.regions.output.size)
        taken = [layout_bytes("520", tensor.format, tensor.shape) for tensor in model.outputs]
        assert taken == [after - before for before, after in pairwise(ends)]
        assert taken == [tensor.size for tensor in model.outputs]
