"""One built project for all tests of stages; they write elsewhere."""

from __future__ import annotations

import pytest

from tests.stages.built import Built, build


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The small project, built. Not to be changed."""
    return build(tmp_path_factory.mktemp("small"))
