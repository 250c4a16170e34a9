"""Which layers run as one function, in which order, and where chains are cut."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.kpu.planning.chains import MOST_ARGUMENTS, chains, unneeded
from modelbuild.kpu.planning.maps import ram_bytes
from tests.hypotheses import examples
from tests.kpu.emitting import running
from tests.kpu.emitting.making import Maker
from tests.kpu.emitting.running import least_ram

ROOM = 2 << 20


def layers(model: FixedModel, found: Sequence[int]) -> list[str]:
    return [model.operators[index].outputs[0] for index in found]


def test_layers_of_one_upload_are_one_chain() -> None:
    """Two readers of an input share its upload; what the CPU makes begins another chain."""
    maker = Maker(1)
    x = maker.given((1, 3, 8, 8))
    a, b = (maker.layer(x, 4, pool="bypass") for _ in "ab")
    c = maker.layer(maker.lookup(a), 4, pool="bypass")
    d = maker.layer(b, 4, pool="bypass")
    model = maker.model([c, d])
    one, two = chains(model, ROOM)
    assert (one.sources[0], layers(model, one.layers), one.outputs) == ("in0", [a, b, d], (a, d))
    assert (two.layers[0], two.outputs) == (3, (c,))
    assert one.peak == max(one.address[item.tensor] + item.size for item in one.maps)


def test_an_order_by_branches_saves_a_cut() -> None:
    """Of three branches two maps wait while the first ends; branch by branch only their source does."""
    maker = Maker(2)
    a = maker.layer(maker.given((1, 1, 8, 64)), 2, pool="bypass")
    branches = [maker.layer(a, 2, pool="bypass") for _ in range(3)]
    ends = [maker.layer(name, 3, pool="bypass") for name in branches]
    model = maker.model(ends)
    line = 8 * 64
    in_order = [a, *branches, *ends]
    by_branches = [a, *(name for pair in zip(branches, ends, strict=True) for name in pair)]
    for room, wanted in ((9 * line, in_order), (7 * line, by_branches)):
        (found,) = chains(model, room)
        assert layers(model, found.layers) == wanted and found.peak <= room


def test_a_map_that_waits_is_given_up() -> None:
    maker = Maker(3)
    a = maker.layer(maker.given((1, 1, 8, 64)), 2, pool="bypass")
    b, c = (maker.layer(a, 2, pool="bypass") for _ in "bc")
    d, e = (maker.layer(name, 3, pool="bypass") for name in (b, c))
    model = maker.model([d, e])
    cut = chains(model, 5 * 8 * 64)
    assert [(item.sources[0], layers(model, item.layers)) for item in cut] == [
        ("in0", [a, b, d]),
        (a, [c, e]),
    ]
    assert cut[0].outputs == (a, d)


def test_a_function_of_too_many_outputs_is_cut_in_two() -> None:
    """128 maps of one input, of which one is read by another 128."""
    maker = Maker(4)
    x = maker.given((1, 1, 4, 4))
    first = [maker.layer(x, 1, kernel=1, pool="bypass") for _ in range(128)]
    second = [maker.layer(first[0], 1, kernel=1, pool="bypass") for _ in range(128)]
    model = maker.model([*first, *second])
    found = chains(model, ROOM)
    assert {chain.sources[0] for chain in found} == {x, first[0]}
    assert sorted(name for chain in found for name in chain.outputs) == sorted(first + second)
    assert all(len(chain.outputs) <= MOST_ARGUMENTS - 1 for chain in found) and len(found) >= 3
    compiled = running.compiled(model)
    running.check_simulated(model, maker.values(model), compiled)


@examples(60)
@given(seed=st.integers(0, 2**32 - 1), more=st.integers(0, 4))
def test_chains_of_any_tree_fit(seed: int, more: int) -> None:
    """Every layer once, behind what it reads; with least RAM, and some more."""
    maker = Maker(seed)
    nodes = [maker.given((1, maker.whole(1, 9), 8, maker.whole(4, 70)))]
    for _ in range(maker.whole(1, 14)):
        nodes.append(maker.layer(maker.pick(nodes), maker.whole(1, 20), kernel=1, pool="bypass"))
    model = maker.model([nodes[-1]])
    room = least_ram(model) + more * 64 * 8
    found = chains(model, room)
    assert sorted(index for chain in found for index in chain.layers) == list(range(len(model.operators)))
    made = {"in0"}
    for chain in found:
        assert chain.peak <= room and chain.sources[0] in made
        inside = {chain.sources[0]}
        for index in chain.layers:
            operator = model.operators[index]
            assert operator.inputs[0] in inside
            inside.add(operator.outputs[0])
        made |= set(chain.outputs)
        assert {item.tensor: item.size for item in chain.maps} == {
            name: ram_bytes(model.tensors[name]) for name in inside
        }


def test_inputs_of_a_concat_lie_beside_each_other() -> None:
    """Squeezed and expanded by two layers, twice: one function, which uploads one map and leaves one."""
    maker = Maker(5)
    x = maker.given((1, 8, 8, 20))
    for _ in range(2):
        squeezed = maker.layer(x, 4, pool="bypass")
        expanded = [maker.layer(squeezed, 6, kernel=kernel, pool="bypass") for kernel in (1, 3)]
        x = maker.concat(expanded, 1)
    y = maker.layer(x, 3, pool="bypass")
    model = maker.model([y])
    (found,) = chains(model, ROOM)
    assert found.sources == ("in0",) and found.outputs == (y,)
    a, b = (model.operators[found.joins[0]].inputs[part] for part in (0, 1))
    assert found.address[b] == found.address[a] + ram_bytes(model.tensors[a])
    assert found.address[model.operators[found.joins[0]].outputs[0]] == found.address[a]
    assert unneeded(model, [found]) == set(found.joins)
    running.check_simulated(model, maker.values(model), running.compiled(model))


def test_a_concat_that_others_read_is_made_in_main_memory_as_well() -> None:
    maker = Maker(6)
    a = maker.layer(maker.given((1, 8, 8, 20)), 4, pool="bypass")
    joined = maker.concat([a, maker.layer(a, 6, pool="bypass")], 1)
    model = maker.model([maker.layer(joined, 3, pool="bypass"), maker.lookup(joined)])
    (found,) = chains(model, ROOM)
    assert len(found.outputs) == 3 and not unneeded(model, [found])
    running.check_simulated(model, maker.values(model), running.compiled(model))


def test_what_the_cpu_makes_of_a_chain_is_uploaded_by_another() -> None:
    """Between the map and its table the CPU works, so that the map is uploaded to lie beside it."""
    maker = Maker(7)
    a = maker.layer(maker.given((1, 8, 8, 20)), 4, pool="bypass")
    b = maker.layer(maker.lookup(a), 4, pool="bypass")
    model = maker.model([maker.layer(maker.concat([a, b], 1), 3, pool="bypass")])
    _, found = chains(model, ROOM)
    assert found.sources == (model.operators[1].outputs[0], a) and len(found.joins) == 1
    running.check_simulated(model, maker.values(model), running.compiled(model))


def test_channels_that_end_within_a_row_are_joined_by_the_cpu() -> None:
    """Of two channels in a row, five leave half of the last."""
    maker = Maker(8)
    a = maker.layer(maker.given((1, 8, 8, 20)), 5, pool="bypass")
    joined = maker.concat([a, maker.layer(a, 4, pool="bypass")], 1)
    model = maker.model([maker.layer(joined, 3, pool="bypass")])
    assert [chain.joins for chain in chains(model, ROOM)] == [(), ()]


@examples(30)
@given(seed=st.integers(0, 2**32 - 1), more=st.integers(0, 30))
def test_chains_of_any_graph_fit(seed: int, more: int) -> None:
    """Every layer once, in one chain with the places of all that it reads, behind what makes them."""
    maker = Maker(seed)
    maps = [maker.given((1, 4 * maker.whole(1, 3), 8, maker.whole(4, 40)))]
    for _ in range(maker.whole(1, 12)):
        source = maker.pick(maps)
        if len(maps) > 1 and maker.whole(0, 2) == 0:
            source = maker.concat([source, maker.pick(maps)], 1)
        elif maker.whole(0, 5) == 0:
            source = maker.lookup(source)
        maps.append(maker.layer(source, 4 * maker.whole(1, 4), kernel=1, pool="bypass"))
    model = maker.model([maps[-1]])
    room = least_ram(model) + more * 64 * 8
    found = chains(model, room)
    wanted = [index for index, each in enumerate(model.operators) if each.kind == "kpu_conv"]
    assert sorted(index for chain in found for index in chain.layers) == wanted
    for chain in found:
        assert chain.peak <= room
        for index in chain.layers:
            assert chain.address.keys() >= {*model.operators[index].inputs, *model.operators[index].outputs}
        for one, other in combinations(chain.maps, 2):
            apart = chain.address[one.tensor] + one.size <= chain.address[other.tensor]
            apart |= chain.address[other.tensor] + other.size <= chain.address[one.tensor]
            assert apart or one.last < other.first or other.last < one.first
        for join in chain.joins:
            place = chain.address[model.operators[join].outputs[0]]
            for name in model.operators[join].inputs:
                assert chain.address[name] == place
                place += ram_bytes(model.tensors[name])
    running.check_simulated(model, maker.values(model), running.compiled(model, sram_bytes=room))
