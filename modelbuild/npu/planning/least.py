"""Which layers have no step that fits, each looked at by itself."""

from __future__ import annotations

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.npu.planning.cutting import Limits
from modelbuild.npu.planning.does_not_fit import DoesNotFit
from modelbuild.npu.planning.fitting import Room, tiled
from modelbuild.npu.planning.grouping import bundles
from modelbuild.npu.planning.streams import Streams
from modelbuild.npu.planning.views import share
from modelbuild.npu.planning.workspace import least_workspace


def too_large(model: FixedModel, limits: Limits) -> dict[int, int]:
    """Operator -> bytes of SRAM of its smallest step, of those that exceed it; with a loop of its own
    perhaps a few bytes more."""
    room, found = Room(limits.sram_bytes, must=True), {}
    for bundle in bundles(model, share(model), fuse=False):
        if not bundle.banded:
            operator = model.operators[bundle.members[0]]
            least = least_workspace(model, operator) if operator.unit == "npu" else 0
            if least > limits.sram_bytes:
                found[bundle.members[0]] = least
            continue
        try:
            tiled(Streams(model, bundle), frozenset(), room, limits, deep=False)
        except DoesNotFit as error:
            found[bundle.members[0]] = error.needed
    return found
