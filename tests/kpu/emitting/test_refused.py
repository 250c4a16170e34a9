"""What does not compile: errors that name the layer, the setting or the memory, and what would do."""

from __future__ import annotations

import pytest

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.chips.load import load_recipe
from modelbuild.errors import ModelbuildError
from modelbuild.kpu.compiler import compile_model
from tests.kpu.emitting import running
from tests.kpu.emitting.making import Maker


def failing(maker: Maker, output: str, **options: object) -> str:
    with pytest.raises(ModelbuildError) as caught:
        running.compiled(maker.model([output]), **options)
    return str(caught.value)


def test_errors_name_the_layer_and_what_would_do() -> None:
    maker = Maker(13)
    x = maker.given((1, 512, 4, 4))
    text = failing(maker, maker.layer(x, 512, kernel=3, pool="bypass"))
    assert "layer 'kpu_conv0': its weights have 2359296 bytes, which 64 loads do not hold" in text
    assert "do:  split it into layers of fewer channels" in text

    maker = Maker(13)
    x = maker.given((1, 2, 3, 600))
    wrong = maker.layer(maker.layer(x, 1030, kernel=1, pool="bypass"), 1, kernel=1, pool="bypass")
    text = failing(maker, wrong)
    assert "layer 'kpu_conv0': its input is 3 high" in text and "the KPU takes 4 to 256" in text
    assert "its input is 600 wide" in text and "it has 1030 output channels" in text
    assert "layer 'kpu_conv1': it has 1030 input channels" in text

    maker = Maker(13)
    y = maker.layer(maker.given((1, 64, 128, 128)), 64, pool="bypass")
    text = failing(maker, maker.layer(y, 128, pool="bypass"))
    assert "layer 'kpu_conv1': its input and output need 3145728 bytes of the KPU's RAM" in text
    assert "there are 2097152; the input [1, 64, 128, 128] takes 1048576" in text


def test_errors_of_settings_and_of_memory() -> None:
    maker = Maker(14)
    y = maker.layer(maker.given((1, 3, 8, 8)), 3, pool="bypass")
    assert "need 1,024 bytes of the KPU's RAM" in failing(maker, y, sram_bytes=1000)
    assert "unknown compile option 'sram_byte'" in failing(maker, y, sram_byte=1)
    assert "sram_bytes must be a number from 1 to 2097152, not 4000000" in failing(
        maker, y, sram_bytes=4_000_000
    )

    maker = Maker(14)
    x = maker.dequantize(maker.given((1, 3, 512, 1024)))
    text = failing(maker, maker.quantize(maker.window(x, "max", 3, pad=1)))
    assert "window 'window1': made needs 15,7" in text and "k210 has 6,291,456" in text
    assert "working memory 12,582,912" in text

    model = maker.model([x])
    other = FixedModel(**{**vars(model), "arithmetic": "multiplier_shift@1"})
    with pytest.raises(ModelbuildError, match="knows float32 and kpu@1, not multiplier_shift@1"):
        compile_model(other, load_recipe("k210"), {})
