"""Each value once."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from modelbuild.arithmetic.distinct import distinct


@given(arrays.arrays(np.int64, arrays.array_shapes(max_dims=3, min_side=0), elements=st.integers(-5, 5)))
def test_as_numpy_has_them(values: np.ndarray) -> None:
    found = distinct(values)
    assert found.dtype == values.dtype and found.tolist() == np.unique(values).tolist()
