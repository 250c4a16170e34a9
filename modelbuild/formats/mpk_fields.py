"""The fields of `*_mpk.json` that nobody documents: where they stand, and what they hold."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from modelbuild.formats.json_text import Json

_TOP = ("name", "model_path", "model_checksum", "model_sdk_version", "sequence", "input_nodes", "plugins")
_PLUGIN = (
    "name",
    "sequence",
    "processor",
    "type",
    "config_params",
    "input_nodes",
    "output_nodes",
    "resources",
    "pluginId",
    "plugin_id",
)
_CONFIGURATION = (
    "desired_batch_size",
    "actual_batch_size",
    "batch_size",
    "batch_sz_model",
    "batch_size_model",
    "kernel",
    "params",
    "number_of_quads_to_user",
    "input_types",
    "output_types",
    "input_names",
    "input_shapes",
    "output_shapes",
    "input_data_type",
    "input_dtype",
    "output_dtype",
    "data_type",
    "operators",
)
_NODE = (
    "name",
    "type",
    "size",
    "input_range",
    "dtype",
    "shape",
    "layout",
    "logical_shape",
    "logical_dtype",
)
_SHOWN = 120  # characters of a value
_MOST = 64


def unknown_fields(document: Mapping[str, Json]) -> tuple[tuple[str, str], ...]:
    """(place, value as JSON, cut off) of the first fields that are not known."""
    found = []
    for place, value in _walk(document):
        found.append((place, json.dumps(value)[:_SHOWN]))
        if len(found) == _MOST:
            break
    return tuple(found)


def _walk(document: Mapping[str, Json]) -> Iterator[tuple[str, Json]]:
    yield from _unknown(document, _TOP, "")
    yield from _nodes(document, "input_nodes", "")
    plugins = document.get("plugins")
    for number, plugin in enumerate(plugins if isinstance(plugins, list) else []):
        place = f"plugins[{number}]."
        yield from _unknown(plugin, _PLUGIN, place)
        if isinstance(plugin, dict):
            yield from _unknown(plugin.get("config_params"), _CONFIGURATION, f"{place}config_params.")
            yield from _unknown(plugin.get("resources"), ("executable",), f"{place}resources.")
            for side in ("input_nodes", "output_nodes"):
                yield from _nodes(plugin, side, place)


def _nodes(holder: Mapping[str, Json], side: str, place: str) -> Iterator[tuple[str, Json]]:
    nodes = holder.get(side)
    for number, node in enumerate(nodes if isinstance(nodes, list) else []):
        yield from _unknown(node, _NODE, f"{place}{side}[{number}].")


def _unknown(
    value: Json | Mapping[str, Json], known: tuple[str, ...], place: str
) -> Iterator[tuple[str, Json]]:
    if isinstance(value, Mapping):
        yield from ((f"{place}{key}", item) for key, item in value.items() if key not in known)
