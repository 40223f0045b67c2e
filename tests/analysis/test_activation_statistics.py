import pytest
import torch
from torch import nn

import convnets
from convnets.analysis import activation_statistics


def test_the_statistics_are_those_of_the_outputs():
    net = nn.Sequential(nn.ReLU(), nn.Flatten())
    first, _ = activation_statistics(net, torch.tensor([[[[-1.0, 1.0], [0.0, 3.0]]]]))
    assert first.name == "0"
    assert first.mean == 1
    assert first.std == pytest.approx(((1 + 0 + 1 + 4) / 4) ** 0.5)
    assert first.zeros == 0.5


def test_a_layer_is_seen_before_an_in_place_layer_overwrites_its_output():
    net = nn.Sequential(nn.BatchNorm2d(2), nn.ReLU(inplace=True)).train()
    norm, relu = activation_statistics(net, torch.randn(8, 2, 4, 4))
    assert norm.mean == pytest.approx(0, abs=1e-6)
    assert norm.std == pytest.approx(1, abs=1e-4)
    assert norm.zeros == 0
    assert relu.zeros > 0.4


def test_every_layer_has_a_row_and_batch_norm_standardises_in_training():
    net = convnets.create_model("resnet20").train()
    rows = {row.name: row for row in activation_statistics(net, torch.randn(4, 3, 32, 32))}
    leaves = {name for name, module in net.named_modules() if not any(module.children())}
    assert rows.keys() == leaves
    for name, row in rows.items():
        if "norm" in name:
            assert row.std == pytest.approx(1, abs=0.01), name


def test_batch_norm_uses_the_statistics_of_its_mode():
    net, images = nn.BatchNorm2d(1), 5 + torch.randn(4, 1, 8, 8)
    (training,) = activation_statistics(net.train(), images)
    (evaluation,) = activation_statistics(net.eval(), images)
    assert training.mean == pytest.approx(0, abs=1e-5)
    assert evaluation.mean > 4


def test_an_empty_batch_is_refused():
    with pytest.raises(ValueError, match="no images"):
        activation_statistics(nn.ReLU(), torch.empty(0, 1, 2, 2))


def test_a_layer_that_returns_a_tuple_is_refused_by_name():
    net = nn.Sequential(nn.Flatten(), nn.LSTM(4, 2))
    with pytest.raises(ValueError, match="'1' returns a tuple"):
        activation_statistics(net, torch.randn(1, 1, 2, 2))
