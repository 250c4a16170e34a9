"""MPK, the package of SiMa's chips: a flat .tar.gz of a program, its description and its statistics."""

from __future__ import annotations

from modelbuild.formats import tar
from modelbuild.formats.archive import Refused
from modelbuild.formats.flatbuffer import damaged
from modelbuild.formats.gzip_stream import Slices
from modelbuild.formats.mpk_build import MpkSource, build
from modelbuild.formats.mpk_found import Health, Mpk, MpkMember
from modelbuild.formats.mpk_plugin import MpkNode, MpkPlugin, MpkTensor
from modelbuild.formats.mpk_survey import Survey

__all__ = [
    "Health",
    "Mpk",
    "MpkMember",
    "MpkNode",
    "MpkPlugin",
    "MpkSource",
    "MpkTensor",
    "build",
    "read",
    "survey",
    "write",
]


def read(data: Slices) -> Mpk:
    """Read an archive that is to be used.

    Errors: ModelbuildError (exit code 2) for what breaks a rule of safety, for wrong checksums, for an
    archive without one `*mpk.json`, and for members that are not what their name says. What is merely
    inconsistent goes into `checks`.
    """
    found = survey(data)
    if found.archive.first:
        raise Refused(found.archive.first)
    wrong = next((item.what for item in found.archive.checksums if not item.ok), None)
    if wrong:
        raise damaged(f"its compression is broken ({wrong})", "archive", 0)
    if found.problems:
        raise found.problems[0]
    broken = next((check for check in found.safety if not check.ok), None)
    if broken:
        raise Refused(f"{broken.what}: {broken.why}")
    return found


def survey(data: Slices) -> Mpk:
    """What is in an archive, safe or not, sound or not: what cannot be shown is told in the checks.

    Errors: ModelbuildError (exit code 2) for what is not a complete archive.
    """
    return Survey(tar.survey(data)).result()


def write(found: Mpk) -> bytes:
    """The archive in the form that modelbuild writes: members sorted, of one time, in stored blocks.

    What modelbuild wrote comes out byte for byte. A vendor's archive is packed by a compressor whose bytes
    nobody promises; its members come out as they are. Errors: ModelbuildError where `read` has some.
    """
    if found.archive.first:
        raise Refused(found.archive.first)
    times = found.archive.times
    time = max((time for time in times if time is not None), default=0)
    return tar.write({member.name: member.data for member in found.archive.members}, time)
