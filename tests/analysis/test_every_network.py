"""Every analysis of every network of the registry, on the smallest images that show something."""

import pytest
import torch
from torch import Tensor, nn

import convnets
from convnets import analysis
from convnets.analysis.layer_rows import OUTSIDE
from convnets.models.lenet import Squash
from convnets.registry import Card
from tests.analysis.analyses import ANALYSES, OTHERS

# The activations of our networks, without the gates.
ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.SiLU, Squash)
RELU6, SE = ("mobilenet_v2",), ("SENet", "EfficientNet")
RESIDUAL = ("ResNet", "Wide ResNet", "ResNeXt", "SENet", "EfficientNet")
ADDING = ("inception_resnet_v2", "mobilenet_v2")


def applies(analysis: str, card: Card) -> bool:
    """Whether the network has what this analysis measures."""
    name, family = card.name, card.family
    match analysis:
        case "excitations":
            return family in SE
        case "feature_reuse":
            return family == "DenseNet"
        case "residual_responses":
            residual = family in RESIDUAL and name != "se_googlenet"
            adds = residual or name in ADDING or name.startswith("shufflenet_v1")
            return adds and not name.startswith("plain")
        case "saturation":
            return family in (*SE, "LeNet") or name in RELU6
    return True


def batch(card: Card) -> tuple[Tensor, Tensor]:
    """Three images whose last maps are larger than 1x1, and their classes."""
    side = 32 if card.is_small_image and card.name != "lenet5" else card.smallest_input + 34
    return torch.randn(3, card.in_channels, side, side), torch.tensor([0, 1, 1])


def check(results: dict[str, object], net: nn.Module, images: Tensor) -> None:
    """The results agree with the network's modules and with each other."""
    layers = [name for name, module in net.named_modules() if not any(module.children())]
    traced = [row.name for row in results["trace"] if row.name != OUTSIDE]
    assert {*traced} == {*layers}
    assert [row.name for row in results["activation_statistics"]] == traced
    assert results["saved_for_backward"] == results["trace"].saved_bytes > 0
    assert results["inference_peak"] == results["trace"].peak_bytes > 0
    assert all(row.std >= 0 for row in results["activation_statistics"])
    activations = [name for name in traced if isinstance(net.get_submodule(name), ACTIVATIONS)]
    assert [row.name for row in results["dead_units"]] == activations
    assert all(0 <= row.dead <= row.inactive <= 1 for row in results["dead_units"])
    weighted = {
        name for name, module in net.named_modules() if isinstance(module, (nn.Conv2d, nn.Linear))
    }
    assert results["gradient_norms"].keys() == weighted
    assert all(norm > 0 for norm in results["gradient_norms"].values())
    assert results["cka"].shape == (2, 2)
    assert results["cka"].diagonal().tolist() == pytest.approx([1, 1])
    assert results["grad_cam"].shape == (3, *images.shape[2:])
    assert results["loss_along_direction"].isfinite().all()
    assert torch.equal(results["loss_surface"][:, 0], results["loss_along_direction"])
    field = results["receptive_field"].size
    assert results["numerical_receptive_field"] == field
    seen = results["effective_receptive_field"].energy.sum(0).nonzero()
    assert 1 < seen.max() - seen.min() + 1 <= field
    if "saturation" in results:
        assert len(results["saturation"]) > 0
        assert all(0 <= row.share <= 1 for row in results["saturation"])
    if "residual_responses" in results:
        assert all(value > 0 for value in results["residual_responses"].values())
    if "excitations" in results:
        gates = [name.removesuffix(".gate") for name in traced if name.endswith(".gate.gate")]
        assert list(results["excitations"]) == gates
    if "feature_reuse" in results:
        assert results["feature_reuse"].nan_to_num(0).amax(dim=0).eq(1).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.sweep if convnets.card(name).parameters > 2e7 else ())
        for name in convnets.list_models()
    ],
)
def test_every_analysis_measures_the_network_or_explains_what_it_lacks(name):
    card, results = convnets.card(name), {}
    net, (images, labels) = convnets.create_model(name), batch(card)
    for key, analyse in ANALYSES.items():
        if applies(key, card):
            results[key] = analyse(net, images, labels)
        else:
            with pytest.raises(ValueError, match=r"this network has no|is for a DenseNet"):
                analyse(net, images, labels)
    check(results, net, images)


@pytest.mark.parametrize("key", sorted(ANALYSES.keys() - {"feature_reuse"}))
def test_an_empty_batch_is_refused(key):
    net = convnets.create_model("efficientnet_b0", num_classes=10)
    with pytest.raises(ValueError, match=r"there are no images in this batch|at least 1, got 0"):
        ANALYSES[key](net, torch.empty(0, 3, 0, 0), torch.empty(0, dtype=torch.long))


def test_every_public_analysis_is_in_the_table():
    public = {name for name in analysis.__all__ if name == name.lower()}
    assert ANALYSES.keys() | OTHERS == public
