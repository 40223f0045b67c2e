import torch

import convnets
from convnets.models.lenet import C3_INPUTS, Subsample
from tests.conftest import traced


def parameters(*modules: torch.nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


def test_each_layer_has_the_trainable_parameters_that_the_paper_states():
    net = convnets.create_model("lenet5")
    stated = {"c1": 156, "s2": 12, "c3": 1516, "s4": 32, "c5": 48_120}
    for name, count in stated.items():
        assert parameters(getattr(net.features, name)) == count, name
    assert parameters(net.classifier.f6) == 10_164


def test_the_layers_before_the_output_have_the_papers_60_000_parameters():
    net = convnets.create_model("lenet5")
    assert parameters(net) - parameters(net.classifier.output) == 60_000


def test_feature_maps_have_the_papers_sizes():
    rows = traced("lenet5")
    assert [rows[name].output[-1] for name in ("c1", "s2", "s4", "c5")] == [28, 14, 5, 1]


def test_table_1_connects_six_maps_to_three_nine_to_four_and_one_to_all():
    sizes = [len(seen) for seen in C3_INPUTS]
    assert [sizes.count(size) for size in (3, 4, 6)] == [6, 9, 1]


def test_subsampling_sums_each_window_then_scales_and_shifts():
    layer = Subsample(1)
    layer.weight.data.fill_(0.5)
    layer.bias.data.fill_(1.0)
    image = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    assert layer(image).item() == 0.5 * 10 + 1
