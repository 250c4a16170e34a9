"""The maker of stage files, in a folder of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.report.stage_files import Maker


@pytest.fixture
def maker(tmp_path: Path) -> Maker:
    return Maker(tmp_path)
