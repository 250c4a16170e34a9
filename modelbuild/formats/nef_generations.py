"""The generations of a NEF's setup, which platforms have them, and which of two a package gets."""

from __future__ import annotations

# Setup generation -> the platforms that have it.
GENERATIONS: dict[str, tuple[str, ...]] = {
    "legacy520": ("520",),
    "legacy720": ("720",),
    "flatbuffer": ("720", "530", "630", "730"),
    "kne": ("730", "540"),
}
FLATBUFFER = "flatbuffer"
SIMULATED = ".sim.nef"  # how files are called whose programs are for modelbuild's simulator
RESERVED_IDS = 32768  # Kneron keeps smaller ids for itself (ktc.ModelConfig)


def _named(platform: str, flatbuffer: bool) -> str:
    return FLATBUFFER if flatbuffer else f"legacy{platform}"


def if_encrypted(platform: str | None) -> str:
    """The generation of a setup that cannot be read: the flatbuffer, unless the platform never had one."""
    old = f"legacy{platform}"
    return old if old in GENERATIONS and platform not in GENERATIONS[FLATBUFFER] else FLATBUFFER


def has_choice(platform: str) -> bool:
    """Whether there is an older generation beside the flatbuffer."""
    return all(platform in GENERATIONS.get(_named(platform, one), ()) for one in (True, False))


def chosen(platform: str, setup: str, flatbuffer: bool | None) -> str:
    """The generation: `setup`, unless a platform that has a choice is asked for the other one."""
    return setup if flatbuffer is None or not has_choice(platform) else _named(platform, flatbuffer)
