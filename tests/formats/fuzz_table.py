"""The table of docs/altered-files.md: `python -m tests.formats.fuzz_table [--count N] [WORD ...]`.

Runs the cases whose names begin with the words, in the order of these, or all; a row each."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from tests.formats import (
    fuzzing,
    test_fuzz,
    test_fuzz_archives,
    test_fuzz_differing,
    test_fuzz_inspected,
    test_fuzz_kmodel,
    test_fuzz_nef,
    test_fuzz_sealed,
    test_fuzz_written,
)
from tests.formats.fuzzing import LONG, Case

CASES: Mapping[str, Case] = {
    **test_fuzz_nef.CASES,
    **test_fuzz_kmodel.CASES,
    **test_fuzz.CASES,
    **test_fuzz_archives.CASES,
    **test_fuzz_sealed.CASES,
    **test_fuzz_inspected.CASES,
    **test_fuzz_differing.CASES,
    **test_fuzz_written.CASES,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--count", type=int, default=LONG)
    options = parser.parse_args()
    wanted = options.words or [""]
    chosen = {name: CASES[name] for word in wanted for name in CASES if name.startswith(word)}
    fuzzing.rows(chosen, options.count)


if __name__ == "__main__":
    main()
