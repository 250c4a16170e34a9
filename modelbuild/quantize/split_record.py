"""Runs taken apart by channels, as a record and a fixed-point model tell of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Graph
from modelbuild.quantize.record import Record
from modelbuild.quantize.record_places import line_of_correction
from modelbuild.quantize.split_graph import Indices, Pieces, Split, split
from modelbuild.quantize.split_regions import regions

KIND = "split"  # of a record's corrections
KEY = "modelbuild.split"  # in a fixed-point model's metadata


def of_record(graph: Graph, record: Record) -> Split:
    """The graph that the record's lines speak of. Raises, with the record's line, on divisions that cannot
    be."""
    lines = record.corrections.get(KIND, {})
    found = regions(graph) if lines else {}
    for name, numbers in lines.items():
        why = _wrong(numbers, graph.shapes[name][1]) if name in found else "nothing can be divided there"
        if why:
            record.places.refuse(
                line_of_correction(KIND, name),
                f"the record's division of the channels of {name!r} cannot be used",
                why=why,
                advice=f"edit its `correct {KIND}` line, or quantize again without `record:`",
            )
    return split(graph, lines)


def _wrong(numbers: Sequence[int], channels: int) -> str:
    """What keeps channels from going to parts of these numbers."""
    if len(numbers) != channels:
        return f"it has {len(numbers)} numbers for {channels} channels"
    used = sorted(set(numbers))
    if used[0] != 0 or used[-1] != len(used) - 1 or len(used) < 2:
        return "the parts are not numbered 0, 1 ... each of them with a channel"
    return ""


def metadata(made: Split) -> dict[str, str]:
    """For the fixed-point model: of each tensor of the lowered one that is gone, the tensors that hold its
    channels and which those are; see `pieces_in`."""
    found = {
        whole: [[name, channels.tolist()] for name, channels in pieces]
        for whole, pieces in made.pieces.items()
    }
    return {KEY: json.dumps(found, sort_keys=True, separators=(",", ":"))} if found else {}


def of_metadata(graph: Graph, told: Mapping[str, str]) -> Split:
    """The lowered graph with its runs divided as those of the fixed-point model are whose metadata is `told`.
    Raises as `pieces_in`."""
    pieces = pieces_in(told)
    starts = [name for name in regions(graph) if name in pieces] if pieces else []
    return split(graph, {name: _numbers(pieces[name]) for name in starts})


def _numbers(pieces: Pieces) -> list[int]:
    """The part of each channel."""
    found = np.zeros(sum(len(channels) for _, channels in pieces), np.int64)
    for number, (_, channels) in enumerate(pieces):
        found[channels] = number
    return [int(number) for number in found]


def pieces_in(metadata: Mapping[str, str]) -> dict[str, Pieces]:
    """Tensor -> what holds its channels. Raises on what `metadata` did not write."""
    try:
        found = {
            str(whole): tuple((str(name), _channels(channels)) for name, channels in pieces)
            for whole, pieces in json.loads(metadata.get(KEY, "{}")).items()
        }
        for pieces in found.values():
            every = np.sort(np.concatenate([channels for _, channels in pieces]))
            if not np.array_equal(every, np.arange(len(every))):
                raise ValueError("channels are missing, or there twice")
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ModelbuildError(f"the model's metadata `{KEY}` is damaged", why=str(error)) from error
    return found


def _channels(values: Any) -> Indices:
    channels = np.array(values, np.int64)
    if channels.ndim != 1 or not len(channels):
        raise ValueError("channels are lists of numbers")
    return channels


def together(found: Mapping[str, NDArray[Any]], pieces: Mapping[str, Pieces]) -> dict[str, NDArray[Any]]:
    """The tensors of the lowered model of which `found` has all pieces, in real numbers."""
    made: dict[str, NDArray[Any]] = {}
    for whole, parts in pieces.items():
        held = [(found[name], channels) for name, channels in parts if name in found]
        if len(held) < len(parts) or any(
            values.ndim < 2 or values.shape[1] != len(channels) for values, channels in held
        ):
            continue
        first = held[0][0]
        count = sum(len(channels) for _, channels in held)
        made[whole] = np.empty((first.shape[0], count, *first.shape[2:]), first.dtype)
        for values, channels in held:
            made[whole][:, channels] = values
    return made
