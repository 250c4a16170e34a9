"""BIE: what can be said of encrypted bytes."""

from __future__ import annotations

import hashlib

from modelbuild.formats import bie


def test_size_digest_and_entropy() -> None:
    found = bie.read(bytes(range(256)) * 3)
    assert (found.size, found.entropy) == (768, 8.0)
    assert found.sha256 == hashlib.sha256(bytes(range(256)) * 3).hexdigest()


def test_entropy_of_few_bytes() -> None:
    assert bie.entropy(b"") == 0 and bie.entropy(b"aaaa") == 0
    assert bie.entropy(b"ab") == 1
