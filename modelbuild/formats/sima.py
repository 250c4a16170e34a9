""".sima, a quantized or float model of SiMa's toolchain: a ZIP of a .yaml and arrays in .npz. Read only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from modelbuild.errors import ModelbuildError
from modelbuild.formats import npy, yaml_text, zip_archive
from modelbuild.formats.archive import unpacked_limit
from modelbuild.formats.checks import Check
from modelbuild.formats.checksum import Checksum
from modelbuild.formats.parts import Part
from modelbuild.formats.yaml_text import Yaml
from modelbuild.formats.zip_archive import Entry, Zip

MAX_ARRAYS = 16_384
_OPERATORS = ("op", "operator", "kind", "type")
_LISTS = ("nodes",)
_SCALE, _ZERO_POINT = "scale", "zero_point"
_HEAD = npy.MAX_HEADER + 12
_EVENT_BYTES = 8  # bytes of the file for which one more event of YAML is read


@dataclass(frozen=True)
class SimaArray:
    """An array. `size` is that of its values in bytes, None where the type does not tell."""

    name: str
    member: str
    dtype: str
    shape: tuple[int, ...]
    size: int | None


@dataclass(frozen=True)
class SimaNode:
    """A node of the network, or of a subgraph in it (`path` has the names from the outside). `kind` is empty
    where the file does not tell. Scale and zero point are as they stand; `arrays` are role -> array."""

    name: str
    path: tuple[str, ...]
    kind: str
    inputs: tuple[str, ...] = ()
    scale: float | None = None
    zero_point: int | None = None
    per_channel: bool | None = None
    channel_params: tuple[tuple[float, int], ...] = ()
    arrays: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sima:
    """A file as read. `keys` are those of the document with the nodes, `others` what else stands in the
    .yaml, by kind. `tags` are those that make objects in the vendor's reader, and none here."""

    archive: Zip
    nodes: tuple[SimaNode, ...]
    keys: tuple[str, ...]
    others: tuple[str, ...]
    tags: dict[str, int]
    arrays: tuple[SimaArray, ...]
    checks: tuple[Check, ...]
    checksums: tuple[Checksum, ...]
    parts: tuple[Part, ...]

    @property
    def is_quantized(self) -> bool:
        """Whether any node tells a scale."""
        return any(node.scale is not None or node.channel_params for node in self.nodes)


def is_sima(names: Sequence[str]) -> bool:
    """Whether a ZIP with these members is one: a .yaml and a .npz."""
    return any(name.endswith((".yaml", ".yml")) for name in names) and any(
        name.endswith(".npz") for name in names
    )


def read(data: bytes) -> Sima:
    """Read a .sima. What cannot be read is told in `checks`, and the rest shown.

    Errors: ModelbuildError (exit code 2) for what is no ZIP.
    """
    budget = unpacked_limit(len(data))
    archive = zip_archive.survey(data, budget)
    left = budget - sum(entry.size for entry in archive.members)
    arrays: list[SimaArray] = []
    checks: list[Check] = []
    checksums = list(archive.checksums)
    for entry in archive.members:
        if entry.path.endswith(".npz"):
            found, wrong, sums, used = _arrays(archive.content(entry), entry.path, left)
            left -= used
            arrays += found
            checks += wrong
            checksums += sums
    member, loaded, check = _document(archive, len(data))
    root = _root(loaded.documents) if loaded else None
    items = list(_items(loaded.documents)) if loaded else []
    if loaded and root is None:
        check = Check(check.what, False, f"nothing in {member} has a list `nodes`")
    names = {array.name for array in arrays}
    return Sima(
        archive=archive,
        nodes=tuple(_nodes(root, names)) if root is not None else (),
        keys=tuple(root) if root is not None else (),
        others=tuple(_told(item) for item in items if item is not root),
        tags=loaded.tags if loaded else {},
        arrays=tuple(arrays),
        checks=(*archive.checks, check, *checks),
        checksums=tuple(checksums),
        parts=archive.parts,
    )


def archives(data: bytes) -> Iterator[tuple[Entry, Zip]]:
    """The .npz of a .sima that can be read, as `read` has them: together no more than may be unpacked.

    Errors: as `read`."""
    budget = unpacked_limit(len(data))
    archive = zip_archive.survey(data, budget)
    left = budget - sum(entry.size for entry in archive.members)
    for entry in archive.members:
        if not entry.path.endswith(".npz"):
            continue
        try:
            inner = zip_archive.survey(archive.content(entry), left, MAX_ARRAYS)
        except ModelbuildError:
            continue
        left -= sum(one.size for one in inner.members)
        yield entry, inner


def _document(archive: Zip, size: int) -> tuple[str, yaml_text.Loaded | None, Check]:
    """(member, what is in it, the check that it could be read)"""
    what = "the description of the network is read"
    found = [entry for entry in archive.members if entry.path.endswith((".yaml", ".yml"))]
    if len(found) != 1:
        return "", None, Check(what, False, f"the archive has {len(found)} .yaml, not one")
    name = found[0].path
    try:
        loaded = yaml_text.load(
            archive.content(found[0]), name, events=yaml_text.MAX_EVENTS + size // _EVENT_BYTES
        )
    except ModelbuildError as error:
        problem = error.problems[0]
        return name, None, Check(what, False, f"{problem.what}: {problem.why}")
    return name, loaded, Check(what, True)


def _items(documents: Sequence[Yaml]) -> Iterator[Yaml]:
    """The documents; a document that is a list holds several."""
    for document in documents:
        if isinstance(document, list):
            yield from document
        else:
            yield document


def _root(documents: Sequence[Yaml]) -> dict[str, Yaml] | None:
    """The first that has nodes."""
    for item in _items(documents):
        if isinstance(item, dict) and isinstance(item.get("nodes"), list):
            return item
    return None


def _told(item: Yaml) -> str:
    """What else stands in the .yaml: the keys of a mapping, or the kind of value."""
    if isinstance(item, dict):
        return "a mapping of " + (", ".join(item)[:200] or "nothing")
    return f"a list of {len(item)}" if isinstance(item, list) else f"a plain value, {str(item)[:80]!r}"


def _arrays(
    data: bytes, member: str, budget: int
) -> tuple[list[SimaArray], list[Check], list[Checksum], int]:
    """(arrays, what is wrong with them, their checksums, bytes unpacked) of a .npz."""
    what = f"the arrays of {member} are read"
    try:
        inner = zip_archive.survey(data, budget, MAX_ARRAYS)
    except ModelbuildError as error:
        return [], [Check(what, False, error.problems[0].what)], [], 0
    found, wrong = [], [check for check in inner.checks if not check.ok]
    for entry in inner.members:
        try:
            found.append(_array(inner, entry, member))
        except ModelbuildError as error:
            wrong.append(Check(what, False, error.problems[0].what))
    used = sum(entry.size for entry in inner.members)
    sums = [item for item in inner.checksums if not item.ok]
    return found, wrong or [Check(what, True)], sums, used


def _array(inner: Zip, entry: Entry, member: str) -> SimaArray:
    header = npy.read(inner.content(entry, _HEAD), entry.path)
    if header.size is not None and header.offset + header.size != entry.size:
        raise ModelbuildError(
            f"{entry.path} has {entry.size - header.offset} bytes of values, its header {header.size}"
        )
    return SimaArray(entry.path.removesuffix(".npy"), member, header.dtype, header.shape, header.size)


def _nodes(root: dict[str, Yaml], names: set[str]) -> Iterator[SimaNode]:
    """Every node, those of subgraphs after the node that holds them."""
    waiting: list[tuple[Yaml, tuple[str, ...]]] = [(item, ()) for item in reversed(_list(root.get("nodes")))]
    while waiting:
        item, path = waiting.pop()
        if not isinstance(item, dict):
            yield SimaNode("", path, "")
            continue
        inside = _mapping(item.get("ir"))
        quant = _mapping(inside.get("quant"))
        attributes = _mapping(inside.get("attrs"))
        name = _text(item.get("name")) or _text(inside.get("name"))
        yield SimaNode(
            name=name,
            path=path,
            kind=_kind(inside, quant, item),
            inputs=tuple(text for text in map(_text, _list(item.get("input_names"))) if text),
            scale=_real(quant.get(_SCALE)),
            zero_point=_integer(quant.get(_ZERO_POINT)),
            per_channel=value if isinstance(value := quant.get("per_channel"), bool) else None,
            channel_params=_pairs(attributes.get("channel_params")),
            arrays=_roles({key: value for key, value in inside.items() if key not in _LISTS}, names),
        )
        waiting += [(each, (*path, name)) for each in reversed(_list(inside.get("nodes")))]


def _kind(*places: dict[str, Yaml]) -> str:
    """The operator, by the first place that has one; of a subgraph the kind of node."""
    for place in places:
        for key in _OPERATORS:
            if _text(place.get(key)):
                return _text(place[key])
    return _text(places[0].get("node_type"))


def _roles(value: Yaml, names: set[str]) -> dict[str, str]:
    """Which arrays a node names, by the keys that lead there."""
    found: dict[str, str] = {}
    waiting: list[tuple[str, Yaml]] = [("", value)]
    while waiting:
        role, item = waiting.pop()
        if isinstance(item, str) and item in names:
            found[role] = item
        elif isinstance(item, dict):
            waiting += [(f"{role}.{key}".lstrip("."), each) for key, each in reversed(item.items())]
        elif isinstance(item, list):
            waiting += [(role, each) for each in reversed(item) if isinstance(each, str | dict)]
    return found


def _pairs(value: Yaml) -> tuple[tuple[float, int], ...]:
    """[[scale, zero point], ...]"""
    found = []
    for pair in _list(value):
        if isinstance(pair, list) and len(pair) == 2:
            scale, zero_point = _real(pair[0]), _integer(pair[1])
            if scale is not None and zero_point is not None:
                found.append((scale, zero_point))
    return tuple(found)


def _mapping(value: Yaml) -> dict[str, Yaml]:
    return value if isinstance(value, dict) else {}


def _list(value: Yaml) -> list[Yaml]:
    return value if isinstance(value, list) else []


def _text(value: Yaml) -> str:
    return value if isinstance(value, str) else ""


def _real(value: Yaml) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _integer(value: Yaml) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
