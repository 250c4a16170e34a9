"""Finding, extending and checking recipes; and what the recipes say."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild.chips import pass_names
from modelbuild.chips.load import chip_names, load_recipe
from modelbuild.chips.recipe import Container
from modelbuild.errors import ModelbuildError
from modelbuild.graph.passes import LOWERING, NORMALISE

CHIPS = ["k210", "kl520", "kl530", "kl630", "kl720", "kl730", "mlsoc", "modalix", "nncase-cpu"]


def write(folder: Path, name: str, text: str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return f"./{name}"


def failure(name: str, base: Path) -> list[str]:
    with pytest.raises(ModelbuildError) as caught:
        load_recipe(name, base)
    assert caught.value.exit_code == 2
    return str(caught.value).splitlines()


def test_the_chips_are_the_recipe_files_and_families_are_none() -> None:
    assert chip_names() == CHIPS


@pytest.mark.parametrize("chip", CHIPS)
def test_every_recipe_is_whole(chip: str) -> None:
    recipe = load_recipe(chip)
    assert recipe.chip == chip
    assert set(map(pass_names.base, recipe.passes)) <= {*NORMALISE, *LOWERING}
    assert len(set(recipe.passes)) == len(recipe.passes)
    assert all(rule.source for rule in recipe.operators)
    assert recipe.number_format.source and recipe.edition
    assert recipe.defaults == {}  # a default here would outrank the manifest's own `defaults:`


@pytest.mark.parametrize(
    ("alias", "chip"),
    [("720", "kl720"), ("kdp520", "kl520"), ("davinci", "mlsoc"), ("gen2", "modalix"), ("KL730", "kl730")],
)
def test_aliases(alias: str, chip: str) -> None:
    assert load_recipe(alias).chip == chip


def test_number_formats_are_those_of_the_facts() -> None:
    formats = {chip: load_recipe(chip).number_format for chip in CHIPS}
    assert formats["kl520"].activations == ("int8",) and formats["kl520"].weights == ("int8",)
    assert formats["kl520"].scale == "power_of_two"
    assert "int4" not in formats["kl720"].weights and "int16" in formats["kl720"].activations
    assert all("int4" in formats[chip].weights for chip in ("kl530", "kl630", "kl730"))
    assert all(formats[chip].scale == "radix" for chip in ("kl720", "kl530", "kl630", "kl730"))
    wide = {chip for chip in CHIPS if formats[chip].has_tables_of_16_bits}
    assert wide == {chip for chip in CHIPS if "int16" in formats[chip].activations}
    assert all(formats[chip].symmetric_activations == chip.startswith("kl") for chip in CHIPS)


def test_containers_are_those_of_the_facts() -> None:
    containers = {chip: load_recipe(chip).container for chip in CHIPS}
    assert [(chip, containers[chip].setup) for chip in CHIPS] == [
        ("k210", "kmodel"),
        ("kl520", "legacy520"),
        ("kl530", "flatbuffer"),
        ("kl630", "flatbuffer"),
        ("kl720", "flatbuffer"),
        ("kl730", "kne"),
        ("mlsoc", "mpk"),
        ("modalix", "mpk"),
        ("nncase-cpu", "kmodel"),
    ]
    assert containers["kl520"].dram_base == 0x60000000
    assert containers["kl720"].dram_base == 0x80220000
    assert containers["kl520"].max_package_bytes == 32 << 20
    assert containers["kl720"].max_model_bytes == 75 << 20
    assert (containers["mlsoc"].program_suffix, containers["modalix"].program_suffix) == (".lm", ".elf")


def test_what_of_the_package_has_a_source(tmp_path: Path) -> None:
    for chip in CHIPS:
        container = load_recipe(chip).container
        given = {"max_package_bytes", "max_model_bytes", "dram_base"} & container.model_fields_set
        assert given <= set(container.facts), chip
        assert "weight_compress" in container.facts or container.format == "kmodel"
    kl530 = load_recipe("kl530").container
    assert (kl530.max_model_bytes, kl530.facts["max_model_bytes"].sure) == (60 << 20, "guess")
    own = tmp_path / "own.yaml"
    head = "extends: kl720\nchip: own\ncontainer:\n"
    own.write_text(head + "  max_model_bytes: 600\n")
    plain = load_recipe(str(own)).container
    assert plain.max_model_bytes == 600 and set(plain.facts) == {
        "dram_base",
        "max_package_bytes",
        "weight_compress",
    }
    own.write_text(head + "  max_model_bytes: {value: 600, source: measured here, sure: measured}\n")
    said = load_recipe(str(own)).container
    assert (said.max_model_bytes, said.facts["max_model_bytes"].source) == (600, "measured here")
    assert Container.model_validate_json(said.model_dump_json()) == said
    own.write_text(head + "  max_model_bytes: {value: 600, source: measured here}\n")
    with pytest.raises(ModelbuildError, match="sure"):
        load_recipe(str(own))


def test_hardware_is_that_of_the_facts() -> None:
    facts = {chip: load_recipe(chip).hardware for chip in CHIPS}
    kneron = [chip for chip in CHIPS if chip.startswith("kl")]
    assert [facts[chip].sram_bytes.value for chip in ("kl520", "mlsoc")] == [512 << 10, 35 << 20]
    assert [facts[chip].clock_hz.value for chip in ("kl520", "kl530", "kl720")] == [300e6, 500e6, 700e6]
    assert [facts[chip].macs_per_cycle.value for chip in ("kl520", "kl530", "kl720")] == [576, 512, 1024]
    assert all(facts[chip].weight_bytes_per_second.value == 0.8e9 for chip in ("kl520",))
    assert all(facts[chip].dram_read_bytes_per_second.value == 8e9 for chip in ("kl530",))
    wide = {
        chip: (facts[chip].columns_at_once.value, facts[chip].row_alignment_bytes.value) for chip in kneron
    }
    assert wide.pop("kl520") == (16, 16) and set(wide.values()) == {(1, 1)}
    assert {chip for chip in CHIPS if facts[chip].engines_at_once.value == 4} == {"mlsoc", "modalix"}
    assert {chip for chip in CHIPS if facts[chip].keeps_for_groups.value == 1} == set(kneron)
    assert {chip for chip in CHIPS if facts[chip].power_watts is not None} == {"modalix"}
    shared = [facts[chip].layer_overhead_cycles for chip in kneron]
    assert all(fact == shared[0] for fact in shared) and shared[0].sure == "fitted"


@pytest.mark.parametrize("chip", CHIPS)
def test_the_constants_that_the_fit_writes_say_so(chip: str) -> None:
    for name, fact in load_recipe(chip).hardware:
        if fact is not None and fact.source.startswith("bench/fit_chips.py"):
            assert fact.sure == "fitted" and chip.startswith("kl"), name


def test_a_recipe_without_the_facts_of_the_chip_model_is_told_all_that_is_missing(tmp_path: Path) -> None:
    name = write(
        tmp_path,
        "own.yaml",
        "extends: kl720\nchip: own\nhardware:\n  tile_bytes: null\n  engines_at_once: null\n",
    )
    assert failure(name, tmp_path) == [
        "./own.yaml:3:1: `hardware.tile_bytes` is missing",
        "./own.yaml:3:1: `hardware.engines_at_once` is missing",
    ]


def test_an_unknown_chip_names_the_nearest(tmp_path: Path) -> None:
    lines = failure("kl72O", tmp_path)
    assert lines[0] == "unknown chip `kl72O`"
    assert lines[1].startswith("  do:  did you mean `kl720`? chips are k210, ")


def test_a_recipe_of_the_users_extends_a_chip(tmp_path: Path) -> None:
    name = write(
        tmp_path,
        "my-cam.yaml",
        """extends: kl720
chip: my-cam
hardware:
  clock_hz: {value: 400_000_000, source: our board, sure: measured}
container: {max_package_bytes: 8_388_608}
operators:
  npu:
    Softmax: {}
    Conv: {kernel: {max: 5}}
    Gemm: null
  cpu:
    Gemm: {rank: 2}
""",
    )
    mine, base = load_recipe(name, tmp_path), load_recipe("kl720")
    assert mine.hardware.clock_hz.value == 4e8 and mine.hardware.clock_hz.source == "our board"
    assert mine.hardware.macs_per_cycle == base.hardware.macs_per_cycle
    assert mine.container.max_package_bytes == 8 << 20 and mine.container.platform == "720"
    assert mine.aliases == ()
    rules = {(rule.op, rule.unit): rule.when for rule in mine.operators}
    assert rules["Conv", "npu"] == {
        "rank": {"max": 4},
        "stride_h": {"max": 4},
        "stride_w": {"max": 16},
        "kernel": {"max": 5},
    }
    assert rules["Softmax", "npu"] == {}
    assert ("Gemm", "npu") not in rules and rules["Gemm", "cpu"] == {"rank": 2}


def test_own_passes_come_before_those_of_the_family(tmp_path: Path) -> None:
    name = write(tmp_path, "cam.yaml", "extends: kl520\nchip: cam\nown_passes: [gemm_to_conv]\n")
    assert load_recipe(name, tmp_path).passes == (
        "gemm_to_conv",
        "flat_mean_to_pool",
        *load_recipe("kl530").passes[2:],
    )
    name = write(
        tmp_path, "cam.yaml", "extends: kl530\nchip: cam\nown_passes: [focus_to_conv, gemm_to_conv]\n"
    )
    assert load_recipe(name, tmp_path).passes[:3] == ("focus_to_conv", "gemm_to_conv", "flat_mean_to_pool")
    assert load_recipe(name, tmp_path).passes.count("focus_to_conv") == 1
    name = write(tmp_path, "cam.yaml", "extends: kl520\nchip: cam\nown_passes: gemm_to_conv\n")
    assert failure(name, tmp_path)[0] == "./cam.yaml:3:1: `own_passes` must be a list of passes"


def test_editions(tmp_path: Path) -> None:
    new, old = load_recipe("kl720"), load_recipe("kl720", edition="v0.15.5")
    assert (new.edition, [other.edition for other in new.editions]) == ("v0.33.1", ["v0.15.5"])
    assert (old.edition, [other.edition for other in old.editions]) == ("v0.15.5", ["v0.33.1"])
    assert old.operators == new.editions[0].operators and new.operators == old.editions[0].operators
    assert old.hardware == new.hardware and old.passes == new.passes
    npu = {rule.op for rule in old.operators if rule.unit == "npu"}
    assert "Exp" not in npu and "MaxRoiPool" in npu  # a unit of the edition is its own
    of_cpu = [[rule for rule in recipe.operators if rule.unit == "cpu"] for recipe in (old, new)]
    assert of_cpu[0] == of_cpu[1]  # one that it has not is that of the default
    assert all("v0.15.5" in rule.source for rule in old.operators if rule.unit == "npu")
    with pytest.raises(ModelbuildError, match=r"k210 has no edition `v0\.15\.5`"):
        load_recipe("k210", edition="v0.15.5")


def test_a_recipe_extends_another_file_beside_it(tmp_path: Path) -> None:
    write(tmp_path / "deep", "base.yaml", "extends: kl520\nchip: base\naliases: [b]\n")
    write(tmp_path / "deep", "cam.yaml", "extends: base.yaml\nchip: cam\n")
    recipe = load_recipe("deep/cam.yaml", tmp_path)
    assert (recipe.chip, recipe.aliases, recipe.container.platform) == ("cam", (), "520")


def test_recipes_in_a_circle_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", "extends: b.yaml\nchip: a\n")
    write(tmp_path, "b.yaml", "extends: ./a.yaml\nchip: b\n")
    lines = failure("a.yaml", tmp_path)
    assert "circle" in lines[0]
    assert lines[1] == "  why: a.yaml -> b.yaml -> a.yaml"


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("extends: kl720\n", "cam.yaml:1:1", "`chip` is missing"),
        ("extends: kl999\nchip: cam\n", "cam.yaml:1:1", "unknown chip `kl999`"),
        ("extends: [kl720]\nchip: cam\n", "cam.yaml:1:1", "`extends` must be"),
        ("extends: kl720\nchip: cam\nclock: 5\n", "cam.yaml:3:1", "unknown key `clock`"),
        ("extends: kl720\nchip: cam\npasses: fast\n", "cam.yaml:3:1", "`passes`"),
        (
            "extends: kl720\nchip: cam\nhardware:\n  clock_hz: {value: 5}\n",
            "cam.yaml:4:3",
            "`hardware.clock_hz.source` is missing",
        ),
        (
            "extends: kl720\nchip: cam\nhardware:\n  clock_hz: {value: 0, source: x, sure: guess}\n",
            "cam.yaml:4:14",
            "`hardware.clock_hz.value`: Input should be greater than 0",
        ),
        (
            "extends: kl720\nchip: cam\nhardware:\n  clock_hz: {value: .inf, source: x, sure: guess}\n",
            "cam.yaml:4:14",
            "`hardware.clock_hz.value`",
        ),
        (
            "extends: kl720\nchip: cam\nhardware:\n  pixels_at_once: {value: 1.5, source: x, sure: guess}\n",
            "cam.yaml:4:20",
            "`hardware.pixels_at_once.value`: Input should be a multiple of 1",
        ),
        (
            "extends: kl720\nchip: cam\nhardware:\n  columns_at_once: {value: 0, source: x, sure: guess}\n",
            "cam.yaml:4:21",
            "`hardware.columns_at_once.value`: Input should be greater than or equal to 1",
        ),
        (
            "extends: kl720\nchip: cam\nhardware:\n  engines_at_once: {value: 2, source: x, sure: guess}\n",
            "cam.yaml:4:3",
            "`hardware.engines_at_once`: one engine at a time (1), or all at once (4)",
        ),
        (
            "extends: kl720\nchip: cam\nhardware:\n  interlock_bytes: {value: 48, source: x, sure: guess}\n",
            "cam.yaml:4:3",
            "`hardware.interlock_bytes`: interlock_bytes is a power of two from 16 to 65536",
        ),
        (
            "extends: kl720\nchip: cam\nhardware:\n  wide_macs_factor: {value: 2, source: x, sure: guess}\n",
            "cam.yaml:4:22",
            "`hardware.wide_macs_factor.value`: Input should be less than or equal to 1",
        ),
        (
            "extends: kl720\nchip: cam\noperators:\n  npu:\n    Conv: {kernle: {max: 3}}\n",
            "cam.yaml:5:12",
            "unknown condition `kernle`",
        ),
        (
            "extends: kl720\nchip: cam\noperators:\n  npu:\n    Conv: [fast]\n",
            "cam.yaml:5:12",
            "the rule of `Conv`",
        ),
        ("extends: kl720\nchip: cam\noperators:\n  gpu: {}\n", "cam.yaml:4:3", "unknown unit `gpu`"),
        ("extends: kl720\nchip: cam\noperators: []\n", "cam.yaml:3:1", "`operators` must be a mapping"),
        ("extends: kl720\nchip: cam\neditions: []\n", "cam.yaml:3:1", "`editions` must map editions"),
        (
            "extends: kl720\nchip: cam\neditions:\n  v1: {npu: {}}\n",
            "cam.yaml:4:3",
            "the edition `v1` must have `operators`, and nothing else",
        ),
        (
            "extends: kl720\nchip: cam\neditions:\n  v1: {operators: {npu: {Conv: {kernle: 3}}}}\n",
            "cam.yaml:4:33",
            "unknown condition `kernle`",
        ),
        (
            "extends: kl520\nchip: cam\nnumber_format: {tables_of_16_bits: true}\n",
            "cam.yaml:3:1",
            "`number_format`: tables_of_16_bits needs int16 among the activations",
        ),
        ("- kl720\n", "cam.yaml:1:1", "a recipe must be a mapping"),
        ("chip: [\n", "cam.yaml:2:1", "this is not YAML"),
        ("chip: cam\nrecipe: 2\n", "cam.yaml", ""),
    ],
)
def test_bad_recipes_are_named_with_their_place(tmp_path: Path, text: str, where: str, what: str) -> None:
    name = write(tmp_path, "cam.yaml", text)
    lines = failure(name.removeprefix("./"), tmp_path)
    assert any(line.startswith(f"{where}: {what}") or (not what and where in line) for line in lines), lines


def test_all_problems_come_in_one_run(tmp_path: Path) -> None:
    write(tmp_path, "cam.yaml", "extends: kl720\nchip: 5\nspeed: 1\npasses: 3\n")
    places = [line.split(": ")[0] for line in failure("cam.yaml", tmp_path) if line.startswith("cam.yaml")]
    assert sorted(places) == ["cam.yaml:2:1", "cam.yaml:3:1", "cam.yaml:4:1"]


def test_unreadable_recipes(tmp_path: Path) -> None:
    assert failure("./none.yaml", tmp_path)[0] == "./none.yaml: cannot read the recipe"
    (tmp_path / "folder.yaml").mkdir()
    assert "cannot read" in failure("folder.yaml", tmp_path)[0]
    (tmp_path / "latin.yaml").write_bytes(b"chip: caf\xe9\n")
    assert "not UTF-8" in failure("latin.yaml", tmp_path)[0]
    (tmp_path / "big.yaml").write_bytes(b"#" * 2_000_000)
    assert "at most" in failure("big.yaml", tmp_path)[0]


def test_an_edition_may_have_the_table_of_the_recipe_that_is_extended(tmp_path: Path) -> None:
    changed = "editions: {v3: {operators: inherited}}\noperators: {cpu: {Tanh: null}}\n"
    text = f"extends: nncase-cpu\nchip: cam\n{changed}"
    found = load_recipe(write(tmp_path, "cam.yaml", text), tmp_path, edition="v3")
    assert found.operators == load_recipe("nncase-cpu").operators
    assert found.operators != load_recipe("./cam.yaml", tmp_path).operators
    name = write(tmp_path, "own.yaml", "chip: own\neditions: {v3: {operators: inherited}}\n")
    assert failure(name, tmp_path)[0].startswith("./own.yaml:2:17: no operators are inherited")


def test_passes_that_are_not_there_are_found_where_they_stand(tmp_path: Path) -> None:
    passes = "[gemm_to_cov, fold_pad(3), split_global_pool(0), split_global_pool(7)]"
    text = f"extends: kl520\nchip: cam\nown_passes: {passes}\n"
    found = failure(write(tmp_path, "cam.yaml", text), tmp_path)
    assert found == [
        "./cam.yaml:3:14: there is no pass `gemm_to_cov`",
        "  do:  did you mean `gemm_to_conv`?",
        "./cam.yaml:3:27: the pass `fold_pad(3)` takes no number",
        "./cam.yaml:3:40: the pass `split_global_pool(0)` takes a limit above 0",
    ]
