"""Rules that the steps of an MPK keep: they are there, told in the right types, and run what is packed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from modelbuild.formats.checks import Check, unless
from modelbuild.formats.json_text import Json
from modelbuild.formats.mla_stats import Span
from modelbuild.formats.mpk_plugin import ACTUAL, DESIRED, MpkPlugin

NO_PROGRAM = ("", "kernel_name_tbd")  # what stands for no executable, as in published archives
_SHOWN = 8
_ACCELERATOR = "MLA"
_INTEGER, _TEXT = "an integer", "text"
_FIELDS: dict[str, str] = {"name": _TEXT, "processor": _TEXT, "sequence": _INTEGER}
_NODE_FIELDS: dict[str, str] = {"name": _TEXT, "size": _INTEGER}
_SIDES = ("input_nodes", "output_nodes")


def check_description(
    document: Mapping[str, Json], plugins: Sequence[MpkPlugin], is_read: bool
) -> tuple[Check, ...]:
    """That the description names its steps in full, in the right types; nothing of one that was not read."""
    if not is_read:
        return ()
    return _check_steps(plugins), _check_types(document), _check_batches(plugins)


def check_cycles(layers: Sequence[Span]) -> Check:
    """That layers begin at cycle 0 or later, and end after that."""
    wrong = [
        f"{span.name[:80]!r} from {span.start_cycle} to {span.end_cycle}"
        for span in layers
        if span.start_cycle < 0 or span.cycles <= 0
    ]
    return unless("layers take cycles, from 0 on", _listed(wrong))


def _check_steps(plugins: Sequence[MpkPlugin]) -> Check:
    """That there are steps, each with a name, a processor, and what it reads and makes."""
    lacks = [] if plugins else ["there are none"]
    for number, plugin in enumerate(plugins):
        called = plugin.name or f"plugins[{number}]"
        told = (
            (plugin.name, "name"),
            (plugin.processor, "processor"),
            (plugin.inputs, "input_nodes"),
            (plugin.outputs, "output_nodes"),
        )
        lacks += [f"{called} has no {what}" for value, what in told if not value]
    return unless("the description names its steps", _listed(lacks))


def check_executables(plugins: Sequence[MpkPlugin], names: Collection[str]) -> tuple[Check, Check]:
    """That what steps run is in the archive, whose members `names` are; and that the accelerator's steps run
    something. The loader unpacks members to their last names: a name with folders must be a member's own."""
    missing = [
        f"{plugin.name} runs {plugin.executable[:200]!r}"
        for plugin in plugins
        if plugin.executable not in NO_PROGRAM and plugin.executable not in names
    ]
    idle = [
        plugin.name or "a step"
        for plugin in plugins
        if plugin.processor == _ACCELERATOR and plugin.executable in NO_PROGRAM
    ]
    return (
        unless("every executable is a member", _listed(missing)),
        unless("every step of the accelerator runs a program", f"{_listed(idle)} names none" if idle else ""),
    )


def _check_batches(plugins: Sequence[MpkPlugin]) -> Check:
    """That the batches that steps tell are at least 1, and one for all of them."""
    wrong = []
    for what, values in (
        ("desired", [(plugin.name, plugin.desired_batch) for plugin in plugins]),
        ("achieved", [(plugin.name, plugin.actual_batch) for plugin in plugins]),
    ):
        told = {value: name for name, value in reversed(values) if value}
        wrong += [f"the {what} batch of {name} is {value}" for value, name in told.items() if value < 0]
        if len(told) > 1:
            steps = [f"{value} in {name}" for value, name in sorted(told.items())]
            wrong.append(f"the {what} batch is {', '.join(steps[:_SHOWN])}")
    return unless("batches are positive and alike in all steps", _listed(wrong))


def _check_types(document: Mapping[str, Json]) -> Check:
    """That numbers are numbers and names are text in the description: what is not was read as absent."""
    wrong: list[str] = []
    _look(document, "input_nodes", "", wrong)
    plugins = document.get("plugins")
    for number, plugin in enumerate(plugins if isinstance(plugins, list) else []):
        if not isinstance(plugin, dict):
            continue
        place = f"plugins[{number}]."
        _compare(plugin, _FIELDS, place, wrong)
        for side in _SIDES:
            _look(plugin, side, place, wrong)
        config = plugin.get("config_params")
        inner = config.get("params") if isinstance(config, dict) else None
        for holder, inside in ((config, "config_params."), (inner, "config_params.params.")):
            if isinstance(holder, dict):
                _compare(holder, dict.fromkeys((*DESIRED, *ACTUAL), _INTEGER), place + inside, wrong)
                _compare(holder, {"kernel": _TEXT}, place + inside, wrong)
        resources = plugin.get("resources")
        if isinstance(resources, dict):
            _compare(resources, {"executable": _TEXT}, f"{place}resources.", wrong)
    return unless("fields of the description have their types", _listed(wrong))


def _look(holder: Mapping[str, Json], side: str, place: str, wrong: list[str]) -> None:
    nodes = holder.get(side)
    for number, node in enumerate(nodes if isinstance(nodes, list) else []):
        if isinstance(node, dict):
            _compare(node, _NODE_FIELDS, f"{place}{side}[{number}].", wrong)


def _compare(holder: Mapping[str, Json], fields: Mapping[str, str], place: str, wrong: list[str]) -> None:
    for name, kind in fields.items():
        value = holder.get(name)
        is_integer = isinstance(value, int) and not isinstance(value, bool)
        if value is not None and not (is_integer if kind == _INTEGER else isinstance(value, str)):
            wrong.append(f"{place}{name} is {str(value)[:40]!r}, not {kind}")


def _listed(found: Sequence[str]) -> str:
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return "; ".join(found[:_SHOWN]) + more
