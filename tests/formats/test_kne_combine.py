"""Addresses that do not fit are an error, whatever sizes a block claims."""

from __future__ import annotations

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.formats import kne_combine
from modelbuild.formats.fw_info import Region


@pytest.mark.parametrize("region", [Region(1 << 63, 1 << 63), Region((1 << 64) - 16, 32)])
def test_buffers_that_end_behind_the_last_address_are_refused(region: Region) -> None:
    with pytest.raises(ModelbuildError, match="output buffers of the models end behind the last address"):
        kne_combine._whole([{"output": Region(16, 16)}, {"output": region}])
