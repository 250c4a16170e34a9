"""Columns of names, signatures and digests: what is packed is what comes back."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from modelbuild.build.rows import Rows, Signature, pack, unpack

names = st.text(st.characters(exclude_characters="\0"), max_size=5) | st.just("\udcff.bin")  # no UTF-8
number = st.integers(-(2**63), 2**63 - 1)
signatures = st.tuples(number, number, st.integers(0, 2**64 - 1), number)
tables = st.lists(
    st.tuples(names, signatures, st.binary().map(lambda data: hashlib.sha256(data).hexdigest()))
)
Table = list[tuple[str, Signature, str]]


def table(rows: Rows) -> Table:
    return [(name, rows.signature(index), rows.digest(index)) for index, name in enumerate(rows.names)]


def rows_of(listed: Table) -> Rows:
    rows = Rows()
    for row in listed:
        rows.add(*row)
    return rows


@given(tables)
def test_rows_come_back_as_they_were(listed: Table) -> None:
    again = Rows.unpacked(unpack(pack(rows_of(listed).packed())))
    assert table(again) == listed
    assert [(name, *signature) for name, signature, _ in listed] == list(again)


@given(tables, tables, st.data())
def test_rows_are_replaced_and_added_as_in_a_list(one: Table, other: Table, data: st.DataObject) -> None:
    rows, expected = rows_of(one), list(one)
    if one and other:
        index = data.draw(st.integers(0, len(one) - 1))
        _, signature, digest = other[0]
        rows.replace(index, signature, digest)
        expected[index] = (one[index][0], signature, digest)
    start, stop = sorted(data.draw(st.tuples(*[st.integers(0, len(other))] * 2)))
    rows.extend(rows_of(other), start, stop)
    assert table(rows) == expected + other[start:stop]


@given(st.binary(min_size=1, max_size=1), st.data())
def test_a_file_with_another_byte_is_none(byte: bytes, data: st.DataObject) -> None:
    whole = pack(("any", 1))
    index = data.draw(st.integers(0, len(whole) - 1))
    altered = whole[:index] + byte + whole[index + 1 :]
    assert unpack(altered) == (("any", 1) if altered == whole else None)
    assert unpack(whole[:index]) is None
