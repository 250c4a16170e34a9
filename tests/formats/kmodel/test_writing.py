"""Images of version 5 to bytes and back, and what is not written."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.errors import ModelbuildError
from modelbuild.formats import kmodel
from modelbuild.formats.kmodel.image import Code, Function, Image, Module, Section, linked, pool_size
from modelbuild.formats.kmodel.model import Mempool, Span, Tensor
from modelbuild.formats.kmodel.types import DATATYPES, LOCATIONS
from tests.formats import kmodel_sources as sources

WORD = st.integers(0, (1 << 32) - 1)
TENSORS = st.lists(
    st.builds(
        Tensor,
        st.sampled_from(list(DATATYPES.values())),
        st.lists(WORD, max_size=5).map(tuple),
        st.sampled_from(list(LOCATIONS.values())),
        WORD,
        WORD,
    ),
    max_size=3,
).map(tuple)
POOLS = st.lists(
    st.builds(
        lambda code, size: Mempool(code, LOCATIONS[code], size), st.sampled_from(list(LOCATIONS)), WORD
    ),
    max_size=3,
).map(tuple)


@st.composite
def modules(draw: st.DrawFn) -> Module:
    kind, alignment = draw(st.sampled_from([("stackvm", 8), ("k210", 256)]))
    rdata, text = draw(st.binary(max_size=300)), draw(st.binary(max_size=40))
    start = draw(st.integers(0, len(rdata)))
    merged = Section(".constants", merged=Span(start, draw(st.integers(0, len(rdata) - start))))
    sections = [Section(".rdata", rdata), merged, Section(".text", text)]
    functions = []
    for _ in range(draw(st.integers(0, 3))):
        entry = draw(st.integers(0, len(text)))
        size = draw(st.integers(0, len(text) - entry))
        functions.append(Function(draw(TENSORS), draw(TENSORS), entry, size, draw(WORD), draw(WORD)))
    ordered = tuple(draw(st.permutations(sections)))
    return Module(kind, draw(POOLS), tuple(functions), ordered, alignment, draw(WORD))


@given(st.lists(modules(), max_size=3))
def test_any_image_survives(found: list[Module]) -> None:
    image = Image((*found, linked("stackvm", [Code((), (), b"")])), (len(found), 0))
    data = kmodel.write(image)
    assert kmodel.image_of(kmodel.read(data)) == image
    assert len(data) % 8 == 0


def test_an_independent_file_is_written_as_it_is() -> None:
    data = sources.version5()
    assert kmodel.write(kmodel.image_of(kmodel.read(data))) == data


def test_functions_are_linked() -> None:
    one, other = (Tensor("uint8", (3,), "input", address, 3) for address in (0, 8))
    functions = [Code((one, other), (), b"abc"), Code((), (one,), b"defgh"), Code((other,), (), b"i")]
    module = linked("k210", functions, b"rdata", [("kpu", 2 << 20)])
    assert [(item.entry, item.text) for item in module.functions] == [(0, 3), (3, 5), (8, 1)]
    assert [(item.input_pool, item.output_pool) for item in module.functions] == [(16, 0), (0, 8), (16, 0)]
    assert module.sections == (Section(".rdata", b"rdata"), Section(".text", b"abcdefghi"))
    assert module.mempools == (
        Mempool(2, "rdata", 5),
        Mempool(3, "data", 0),
        Mempool(64, "kpu", 2 << 20),
    )
    assert pool_size(()) == 0
    with pytest.raises(ModelbuildError, match="no kind of module 'k510'"):
        linked("k510", functions)
    with pytest.raises(ModelbuildError, match="pool is 'ram', which is none"):
        linked("k210", functions, pools=[("ram", 3)])


def test_places_in_the_file() -> None:
    """Bodies of a K210 begin at multiples of 256 of the file, whatever lies before."""
    stack = linked("stackvm", [Code((), (), b"x" * 3)])
    kpu = linked("k210", [Code((), (), b"y" * 5)], b"z" * 300)
    data = kmodel.write(Image((stack, kpu, stack), (2, 0)))
    found = kmodel.read(data)
    assert (found.alignment, found.entry) == (256, (2, 0))
    bodies = [[section.body.offset for section in module.sections] for module in found.modules]
    # 32 of the header, 48 of the module, 16 of pools, 32 of the function, 32 of the section.
    assert bodies[0] == [160, 160 + 32]
    assert bodies[1] == [512, 1024]
    assert [module.size % 8 for module in found.modules] == [0, 0, 0]
    assert kmodel.read(kmodel.write(Image((stack,)))).alignment == 8


@pytest.mark.parametrize("name", ["5 development", "6", "7", "4"])
def test_other_versions_are_not_written(name: str) -> None:
    with pytest.raises(ModelbuildError, match="only version 5, release layout, is written"):
        kmodel.image_of(kmodel.read(sources.ALL[name]()))


@pytest.mark.parametrize(
    ("place", "value"),
    [(32 + 20, 40), (32 + 44, 7), (32 + 48 + 1, 1), (130, 3), (96, 33)],
    ids=["header size", "reserved", "reserved of a pool", "shared module", "header size of a function"],
)
def test_what_would_be_lost_is_refused_with_its_place(place: int, value: int) -> None:
    data = bytearray(sources.version5())
    data[place] = value
    with pytest.raises(ModelbuildError, match="would be lost") as refused:
        kmodel.image_of(kmodel.read(bytes(data)))
    assert f"0x{place:x}" in str(refused.value) or f"{place}" in str(refused.value)


def test_bytes_behind_the_last_module_are_refused() -> None:
    data = sources.version5()
    with pytest.raises(ModelbuildError, match="would be lost"):
        kmodel.image_of(kmodel.read(data + b"behind.."))


def test_an_alignment_that_no_module_has_makes_no_huge_file() -> None:
    data = bytearray(sources.version5())
    struct.pack_into("<I", data, 16, 0xFFFFFFFF)
    data[32 : 32 + 7] = b"unknown"
    with pytest.raises(ModelbuildError, match="aligned to 4294967295 bytes"):
        kmodel.image_of(kmodel.read(bytes(data)))


TENSOR = Tensor("uint8", (1, 3), "input", 0, 3)
MODULE = linked("stackvm", [Code((TENSOR,), (), b"code")], b"constants")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"kind": "k" * 17}, "has room for 1 to 16"),
        ({"kind": "é"}, "has room for 1 to 16"),
        ({"sections": (*MODULE.sections, Section("n" * 16))}, "has room for 1 to 15"),
        ({"sections": (*MODULE.sections, Section("", b"x"))}, "has room for 1 to 15"),
        ({"sections": ()}, "code of function 0 lies outside of the 0 bytes"),
        ({"sections": (*MODULE.sections, Section("m", merged=Span(5, 5)))}, "lies outside of it"),
        ({"sections": (*MODULE.sections, Section("m", b"x", Span(0, 1)))}, "lies outside of it"),
        ({"alignment": 0}, "aligned to 0 bytes"),
        ({"alignment": 8192}, "aligned to 8192 bytes"),
        ({"version": 1 << 32}, "version does not hold 4294967296"),
        ({"mempools": (Mempool(300, "?", 0),)}, "location does not hold 300"),
        ({"mempools": (Mempool(2, "rdata", -1),)}, "size does not hold -1"),
    ],
)  # fmt: skip
def test_modules_that_are_not_written(changes: dict[str, object], why: str) -> None:
    kmodel.write(Image((MODULE,)))
    with pytest.raises(ModelbuildError, match=why):
        kmodel.write(Image((replace(MODULE, **changes),)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("tensor", "why"),
    [
        (replace(TENSOR, shape=None), "no fixed shape"),
        (replace(TENSOR, shape=(1, None)), "no fixed shape"),
        (replace(TENSOR, shape=(1 << 32,)), "shape of a tensor does not hold"),
        (replace(TENSOR, memory=""), "memory of a tensor is '', which is none"),
        (replace(TENSOR, dtype="uint4"), "type of a tensor is 'uint4'"),
        (replace(TENSOR, address=None), "start does not hold None"),
        (replace(TENSOR, size=-1), "size does not hold -1"),
    ],
)
def test_tensors_that_are_not_written(tensor: Tensor, why: str) -> None:
    function = replace(MODULE.functions[0], outputs=(tensor,))
    with pytest.raises(ModelbuildError, match=why):
        kmodel.write(Image((replace(MODULE, functions=(function,)),)))


@pytest.mark.parametrize("entry", [(1, 0), (0, 1), (-1, 0), (0, -1)])
def test_an_entry_that_is_not_there(entry: tuple[int, int]) -> None:
    with pytest.raises(ModelbuildError, match="which is not there"):
        kmodel.write(Image((MODULE,), entry))


@pytest.mark.parametrize(("entry", "text"), [(-1, 2), (0, 5), (4, 1), (3, -1)])
def test_code_outside_of_text(entry: int, text: int) -> None:
    function = replace(MODULE.functions[0], entry=entry, text=text)
    with pytest.raises(ModelbuildError, match="code of function 0 lies outside of the 4 bytes"):
        kmodel.write(Image((replace(MODULE, functions=(function,)),)))
