"""Records of fixed layout: read, packed and shown by one text; and every table of records is of its size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.errors import ModelbuildError
from modelbuild.formats.kmodel import layers_v3, layers_v4, version3, version4, version5, version6
from modelbuild.formats.kmodel.kpu_operations import kinds
from modelbuild.formats.kmodel.records import record
from modelbuild.formats.kmodel.types import LOCATIONS

INNER = record("low:i8 high:u16")
RECORD = record("a:u8/kind b:u8*3 c:inner d:f32 e:bool", {"kind": {1: "one"}}, inner=INNER)


def test_a_record_is_read_shown_and_packed() -> None:
    data = bytes((1, 2, 3, 4, 0xFF, 0x34, 0x12, 0, 0, 0x80, 0x3F, 1))
    values = RECORD.read(data, 0)
    assert values == {"a": 1, "b": [2, 3, 4], "c": {"low": -1, "high": 0x1234}, "d": 1.0, "e": 1}
    assert RECORD.shown(values) == {**values, "a": "one", "e": True}
    assert RECORD.shown({**values, "a": 9, "e": 7})["a"] == "unknown (9)"
    assert RECORD.pack(values) == data and RECORD.size == len(data)
    for place, end in ((1, None), (-1, None), (0, 11)):
        with pytest.raises(ModelbuildError, match="12 bytes are expected here"):
            RECORD.read(data, place, end)


ALL = [kind.record for kind in (*layers_v3.KINDS.values(), *layers_v4.KINDS.values()) if kind.record]
ALL += [layout for _, layout in kinds(LOCATIONS).values()]
ALL += [version3.HEADER, version4.HEADER, version5.HEADER, version6.HEADER]


@given(st.data())
def test_packing_is_the_inverse_of_reading(draw: st.DataObject) -> None:
    layout = draw.draw(st.sampled_from(ALL))
    data = draw.draw(st.binary(min_size=layout.size, max_size=layout.size))
    values = layout.read(data, 0)
    again = layout.read(layout.pack(values), 0)
    assert repr(again) == repr(values)  # a NaN is not equal to itself


def test_records_have_the_sizes_that_are_published() -> None:
    assert [layout.size for _, layout in kinds(LOCATIONS).values()] == [44, 44, 152, 76]
    assert [version3.HEADER.size, version4.HEADER.size, version5.HEADER.size] == [28, 40, 32]
    assert [version5.MODULE.size, version5.FUNCTION.size, version5.DEVELOPMENT_MODULE.size] == [48, 32, 40]
    assert [
        (layout.module.size, layout.function.size, layout.section.size)
        for layout in (version6.LAYOUTS[6], version6.LAYOUTS[7])
    ] == [(32, 24, 40), (40, 32, 56)]
