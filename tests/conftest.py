"""Fixtures that every room's tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED_DATA = REPOSITORY.parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real models, images and vendor files that may not be shipped; they lie beside the checkout."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the folder ../shared/data with real models and images is not beside this checkout")
    return SHARED_DATA
