"""The plugins of an MPK's `*_mpk.json`: steps of a pipeline, tied together by the names of their tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from modelbuild.formats.checks import Check, checked
from modelbuild.formats.json_text import Json, integer, integers, items, mapping, real, text

PROCESSORS = ("EV74", "MLA", "A65")
# Names that the batches go by in archives of several toolchains; the first that is there counts.
DESIRED = ("desired_batch_size", "batch_size")
ACTUAL = ("actual_batch_size", "batch_sz_model", "batch_size_model")


@dataclass(frozen=True)
class MpkTensor:
    """real = scale * (integer - zero_point). NCHW; `size` in bytes of one frame's integers."""

    name: str
    shape: tuple[int, ...]
    bits: int
    signed: bool
    scale: float
    zero_point: int

    @property
    def elements(self) -> int:
        """How many values one frame has."""
        return math.prod(self.shape)

    @property
    def size(self) -> int:
        """Bytes of one frame's integers."""
        return self.elements * (1 if self.bits <= 8 else 2)

    @property
    def scalar(self) -> str:
        """The type of one value, "int8" for instance."""
        return f"{'' if self.signed else 'u'}int{8 if self.bits <= 8 else 16}"


@dataclass(frozen=True)
class MpkNode:
    """One tensor at a plugin's border. `size` is in bytes; `dtype` and `shape` are empty where not given, and
    so is `range`, what calibration saw of an input."""

    name: str
    size: int
    dtype: str = ""
    shape: tuple[int, ...] = ()
    range: tuple[float, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """The node as an entry of `output_nodes` or of the top-level `input_nodes`."""
        typed: dict[str, Json] = {"dtype": self.dtype, "shape": list(self.shape)} if self.dtype else {}
        return {"name": self.name, "type": "buffer", "size": self.size, **typed}


@dataclass(frozen=True)
class MpkPlugin:
    """One step. `kernel` is empty for the accelerator; `executable` is a member of the archive."""

    name: str
    sequence: int
    processor: str  # EV74 | MLA | A65
    kernel: str
    inputs: tuple[MpkNode, ...]
    outputs: tuple[MpkNode, ...]
    desired_batch: int
    actual_batch: int
    executable: str = ""
    parameters: Mapping[str, Json] = field(default_factory=dict)

    def to_json(self) -> dict[str, Json]:
        """The plugin as an entry of `plugins`."""
        config: dict[str, Json] = {
            "desired_batch_size": self.desired_batch,
            "actual_batch_size": self.actual_batch,
        }
        if self.kernel:
            config |= {"kernel": self.kernel, "params": dict(self.parameters)}
        else:
            config |= self.parameters
        return {
            "name": self.name,
            "sequence": self.sequence,
            "processor": self.processor,
            "type": "sgpProcess",
            "config_params": config,
            "input_nodes": [{"name": node.name, "size": node.size} for node in self.inputs],
            "output_nodes": [node.to_json() for node in self.outputs],
            "resources": {"executable": self.executable} if self.executable else None,
        }

    @property
    def channels(self) -> tuple[tuple[float, int], ...]:
        """(1 / scale, zero point) of each channel that a quantization step names."""
        pairs = self.parameters.get("channel_params")
        found = (
            [pair for pair in pairs if isinstance(pair, list) and len(pair) == 2]
            if isinstance(pairs, list)
            else []
        )
        return tuple((real(pair[0]), integer(pair[1])) for pair in found)

    def shape(self, of_outputs: bool) -> tuple[int, ...]:
        """The first of the step's own `output_shapes` or `input_shapes`; empty where it has none."""
        shapes = self.parameters.get("output_shapes" if of_outputs else "input_shapes")
        return integers(shapes[0]) if isinstance(shapes, list) and shapes else ()


def decode_node(value: Json, name: str) -> MpkNode:
    """An entry of `input_nodes` or `output_nodes`. Errors: ModelbuildError naming `name`."""
    node = mapping(value, name)
    dtype = text(node.get("dtype")) or text(node.get("logical_dtype"))
    shape = integers(node.get("shape")) or integers(node.get("logical_shape"))
    limits = node.get("input_range")
    found = tuple(real(limit) for limit in limits) if isinstance(limits, list) and len(limits) == 2 else ()
    return MpkNode(text(node.get("name")), integer(node.get("size")), dtype, shape, found)


def decode_plugin(value: Json, name: str, position: int = 0) -> MpkPlugin:
    """An entry of `plugins`; without a number in the sequence it has that of its `position`.

    Errors: ModelbuildError naming `name`."""
    plugin = mapping(value, name)
    config = mapping(plugin.get("config_params") or {}, name)
    parameters = mapping(config.get("params") or {}, name)
    resources = mapping(plugin.get("resources") or {}, name)
    return MpkPlugin(
        name=text(plugin.get("name")),
        sequence=integer(plugin.get("sequence"), position),
        processor=text(plugin.get("processor")),
        kernel=text(config.get("kernel")),
        inputs=tuple(decode_node(node, name) for node in items(plugin.get("input_nodes"), name)),
        outputs=tuple(decode_node(node, name) for node in items(plugin.get("output_nodes"), name)),
        desired_batch=_first(DESIRED, config, parameters),
        actual_batch=_first(ACTUAL, config, parameters),
        executable=text(resources.get("executable")),
        parameters=parameters or config,
    )


def check_edges(inputs: Sequence[MpkNode], plugins: Sequence[MpkPlugin]) -> tuple[Check, Check]:
    """That every input of a plugin is made before, by an earlier plugin or at the top, in that size.

    Of several tensors of one name, the last before it counts; `tensor//name in the model` is the tensor.
    Where nothing stands at the top, the first plugin reads the inputs. A node may leave size or name out.
    """
    ordered = sorted(plugins, key=lambda item: item.sequence)
    entering = inputs or [node for plugin in ordered[:1] for node in plugin.inputs]
    known = {node.name: node.size for node in entering}
    loose, unequal = [], []
    for plugin in ordered:
        for node in plugin.inputs:
            name = node.name if node.name in known else node.name.partition("//")[0]
            if node.name and name not in known:
                loose.append(f"{plugin.name} reads {node.name}")
            elif node.size and known.get(name) and node.size != known[name]:
                sizes = f"in {node.size} bytes, made in {known[name]}"
                unequal.append(f"{plugin.name} reads {node.name} {sizes}")
        known |= {node.name: node.size for node in plugin.outputs}
    return (
        checked("every edge has a producer", not loose, _listed(loose)),
        checked("both ends of every edge have one size", not unequal, _listed(unequal)),
    )


def check_plugins(plugins: Sequence[MpkPlugin]) -> tuple[Check, Check]:
    """That the plugins count up from 1, and run where something runs."""
    order = sorted(plugin.sequence for plugin in plugins)
    strange = sorted({item.processor for item in plugins} - set(PROCESSORS))
    return (
        checked(
            "plugins are numbered from 1",
            order == list(range(1, len(order) + 1)),
            f"the numbers are {_listed([str(number) for number in order])}",
        ),
        checked("every processor is known", not strange, _listed([repr(name[:40]) for name in strange])),
    )


def quantized_tensors(plugins: tuple[MpkPlugin, ...], kernel: str) -> tuple[MpkTensor, ...]:
    """The fixed-point tensors beside the steps of that kernel, named as the archive's border names them."""
    found = [plugin for plugin in plugins if plugin.kernel == kernel and plugin.channels]
    entering = kernel == "quantization_transform"
    named = _names_after(plugins)
    made = {node.name: node for plugin in plugins for node in plugin.outputs}
    tensors = []
    for plugin in found:
        fixed, border = (plugin.outputs, plugin.inputs) if entering else (plugin.inputs, plugin.outputs)
        if len(fixed) != 1 or len(border) != 1:
            continue
        factor, zero_point = plugin.channels[0]
        node = made.get(fixed[0].name, fixed[0])
        shape = node.shape or plugin.shape(entering)
        name = border[0].name if entering else named.get(border[0].name, border[0].name)
        dtype = node.dtype or text(plugin.parameters.get("output_data_type")) or "int8"
        bits = 16 if dtype.endswith("16") else 8
        scale = 1.0 / factor if factor else 0.0
        tensors.append(MpkTensor(name, shape, bits, not dtype.startswith("u"), scale, zero_point))
    return tuple(tensors)


def _names_after(plugins: tuple[MpkPlugin, ...]) -> dict[str, str]:
    """What a final pass-through calls each of its inputs."""
    passing = [plugin for plugin in plugins if plugin.kernel == "pass_through"]
    return {
        before.name: after.name
        for plugin in passing
        for before, after in zip(plugin.inputs, plugin.outputs, strict=False)
    }


def _listed(found: Sequence[str]) -> str:
    more = f" and {len(found) - 8} more" if len(found) > 8 else ""
    return "; ".join(found[:8]) + more


def _first(names: Sequence[str], *places: Mapping[str, Json]) -> int:
    """The first of several names that any of the places holds; 0 if none."""
    return next((integer(place[name]) for place in places for name in names if name in place), 0)
