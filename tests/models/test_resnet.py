import pytest
import torch
from torch import nn

import convnets
from convnets.models.resnet import BasicBlock, Bottleneck, PlainBlock, ZeroPadShortcut, shortcut


@pytest.mark.parametrize("block", [BasicBlock(8, 8), Bottleneck(8, 2)], ids=["basic", "bottleneck"])
@pytest.mark.parametrize("training", [True, False])
def test_a_residual_block_with_zeroed_last_norm_is_the_identity(block, training):
    last_norm = [module for module in block.modules() if isinstance(module, nn.BatchNorm2d)][-1]
    nn.init.zeros_(last_norm.weight)
    nn.init.zeros_(last_norm.bias)
    x = torch.rand(2, 8, 5, 5)
    assert torch.equal(block.train(training)(x), x)


def test_a_basic_block_without_its_shortcut_is_the_plain_block():
    plain, basic = PlainBlock(4, 4), BasicBlock(4, 4)
    basic.load_state_dict(plain.state_dict())

    class Nothing(nn.Module):
        def forward(self, x):
            return torch.zeros_like(x)

    basic.shortcut = Nothing()
    x = torch.randn(2, 4, 7, 7)
    assert torch.equal(basic(x), plain(x))


def test_shortcuts_follow_the_papers_options():
    assert isinstance(shortcut(8, 8, 1, "A"), nn.Identity)
    assert isinstance(shortcut(8, 8, 1, "B"), nn.Identity)
    assert not isinstance(shortcut(8, 8, 1, "C"), nn.Identity)
    assert not list(shortcut(8, 16, 2, "A").parameters())
    assert list(shortcut(8, 16, 2, "B").parameters())


def test_an_unknown_shortcut_option_is_refused():
    with pytest.raises(ValueError, match="'A', 'B' or 'C', got 'D'"):
        shortcut(8, 8, 1, "D")


@pytest.mark.parametrize("size", [8, 9])
def test_the_zero_padding_shortcut_keeps_every_second_pixel_and_adds_black_maps(size):
    x = torch.randn(1, 4, size, size)
    y = ZeroPadShortcut(4, 8, stride=2)(x)
    assert torch.equal(y[:, 2:6], x[:, :, ::2, ::2])
    assert not y[:, :2].any()
    assert not y[:, 6:].any()


def test_plain_and_residual_small_networks_have_the_same_parameters():
    counts = [
        sum(p.numel() for p in convnets.build(name, 10, 3).parameters())
        for name in ("plain56", "resnet56")
    ]
    assert counts[0] == counts[1]


@pytest.mark.parametrize(("name", "layers"), [("resnet34", 34), ("resnet50", 50), ("resnet56", 56)])
def test_a_networks_number_counts_its_weighted_layers(name, layers):
    with torch.device("meta"):
        net = convnets.build(name)
    weighted = [
        key
        for key, module in net.named_modules()
        if isinstance(module, (nn.Conv2d, nn.Linear)) and "shortcut" not in key
    ]
    assert len(weighted) == layers
