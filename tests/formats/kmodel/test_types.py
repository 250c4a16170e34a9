"""Type signatures of versions 6 and 7, and what is between the parts of a file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.errors import ModelbuildError
from modelbuild.formats.kmodel.filling import filled
from modelbuild.formats.kmodel.types import DIALECTS, MAX_DEPTH, Signatures
from modelbuild.formats.parts import Part
from tests.formats.kmodel_sources import signature


def read(data: bytes, dialect: int = 0) -> Signatures:
    return Signatures(data, 0, len(data), DIALECTS[dialect])


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"\x00", "invalid"),
        (b"\x01", "any"),
        (b"\x02\x0b\x00", "float32[]"),
        (b"\x02\x06\x01\xff", "uint8[]"),
        (signature(6, 1, None, 224), "uint8[1,?,224]"),
        (signature(6, 1, None, 224, unknown=2), "uint8[1,?,224]"),
        (b"\x03" + signature(11, 2) + b"\x03\xff\xff", "(float32[2], ())"),
        (b"\x02\xf0\x05\x00", "pointer to int64[]"),
        (b"\x02\xf3\xf0\x05\x00", "reference to pointer to int64[]"),
        (b"\x02\xf2\x0a\x02\x08\0\0\0\x04\0\0\0\x00", "vector of float16 x 8x4[]"),
        (b"\x02\xf1" + bytes(range(16)) + b"\x0c\0\0\0\x00", f"value {bytes(range(16)).hex()} of 12 bytes[]"),
    ],
)
def test_types_as_text(data: bytes, shown: str) -> None:
    signatures = read(data)
    assert signatures.tensor().type == shown and signatures.place == len(data)


def test_what_a_function_returns() -> None:
    one = read(signature(11, 1, 8)).returned()
    assert [tensor.shape for tensor in one] == [(1, 8)]
    several = read(b"\x03" + signature(11, 1) + signature(5, 2) + b"\xff").returned()
    assert [(tensor.dtype, tensor.shape) for tensor in several] == [("float32", (1,)), ("int64", (2,))]


@pytest.mark.parametrize("dialect", [1, 2])
def test_long_dimensions(dialect: int) -> None:
    fixed, unknown = ((1, 0), (0, 1))[dialect - 1]
    data = signature(6, 1 << 33, None, fixed=fixed, unknown=unknown, layout="<q")
    assert read(data, dialect).tensor().shape == (1 << 33, None)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "has no end"),
        (b"\x04", "starts with 4"),
        (b"\x02\x10\x00", "unknown type 16"),
        (b"\x02\x06\x01\x03", "a dimension starts with 3"),
        (b"\x02\x06\x01\x01\x01", "4 bytes are expected"),
        (b"\x03" * (MAX_DEPTH + 2), "nest too deep"),
        (b"\x02" + b"\xf0" * (MAX_DEPTH + 2), "nest too deep"),
        (b"\x02\x06\x01" + b"\x00" * 65, "more than 64 dimensions"),
    ],
)
def test_what_is_no_type(data: bytes, why: str) -> None:
    with pytest.raises(ModelbuildError, match=why):
        read(data).tensor()


@given(st.binary(max_size=40), st.integers(0, 2))
def test_any_bytes_are_a_type_or_an_error(data: bytes, dialect: int) -> None:
    signatures = read(data, dialect)
    try:
        signatures.tensor()
        assert signatures.place <= len(data)
    except ModelbuildError as error:
        assert error.exit_code == 2


def test_gaps_of_zeros_are_padding_and_others_unknown() -> None:
    data = b"ab\0\0cd\0x"
    assert filled(data, [Part(4, 2, "c"), Part(0, 2, "a")]) == (
        Part(0, 2, "a"),
        Part(2, 2, "padding"),
        Part(4, 2, "c"),
        Part(6, 2, "unknown", known=False),
    )
    assert filled(b"", []) == ()
