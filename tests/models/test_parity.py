"""Our networks and public ones with the same weights compute the same outputs and gradients."""

from collections.abc import Iterator

import pytest
import timm
import torch
import torchvision.models
import torchvision.ops
from pytorchcv.model_provider import get_model as get_pytorchcv_model
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import convnets
from convnets.layers import ImageClassifier, LocalResponseNorm, StochasticDepth
from convnets.models import checkpoints
from tests.models import pytorchcv_weights

SOURCES = {**checkpoints.SOURCES, "pytorchcv": pytorchcv_weights.NETWORKS}
PAIRS = [(source, name) for source, networks in SOURCES.items() for name in networks]
# The two input sizes of networks that do not accept the default; the second is odd and not square.
SIZES = {
    "zfnet": ((224, 224), (225, 219)),  # theirs needs maps of 6x6 after the last pool
    "zfnet_paper": ((224, 224), (225, 219)),
    "wide_resnet28_10": ((16, 16), (19, 13)),
    "densenet_bc100_12": ((32, 32), (27, 39)),
}
# A network for each kind of block that the lightest networks do not have.
BLOCKS = [
    ("torchvision", "resnet18"),
    ("torchvision", "resnet50"),
    ("timm", "preact_resnet50"),
    ("timm", "se_resnet18"),
    ("timm", "inception_v4"),
    ("timm", "inception_resnet_v2"),
    ("timm", "mobilenet_v1"),
    ("pytorchcv", "shufflenet_v1_g3"),
    ("pytorchcv", "densenet_bc100_12"),
]
# Each network once: against torchvision where it has the network.
TRAINED = list({name: (source, name) for source, name in reversed(PAIRS)}.values())


def parameters(pairs: list[tuple[str, str]]) -> list:
    """All but `BLOCKS` are marked slow, so that conftest.py makes heavier networks a sweep.

    VGG-11 is a sweep too: a chain like the lighter `alexnet_one_tower`.
    """
    marks = {pair: pytest.mark.sweep if pair[1] == "vgg11" else pytest.mark.slow for pair in pairs}
    return [pair if pair in BLOCKS else pytest.param(*pair, marks=marks[pair]) for pair in pairs]


def reference(source: str, name: str) -> nn.Module:
    """The public network, changed where ours differs from it on purpose."""
    public = SOURCES[source][name].name
    if source == "timm":
        net = timm.create_model(public, pretrained=False)
        if name in ("efficientnet_b5", "efficientnet_b6", "efficientnet_b7"):
            as_the_authors_normalise(net)
        return with_plain_relu(net) if name == "mobilenet_v1" else net
    if source == "pytorchcv":
        net = get_pytorchcv_model(public)
        if name.startswith("zfnet"):
            as_the_paper_normalises(net)
        elif hasattr(net.features, "final_pool"):  # theirs accepts one input size only
            net.features.final_pool = nn.AdaptiveAvgPool2d(1)
        return net
    known = {"init_weights": False, "aux_logits": True} if public == "googlenet" else {}
    return torchvision.models.get_model(public, **known)


def ours_with(name: str, weights: dict[str, Tensor]) -> ImageClassifier:
    """Our network with these weights; it is made without drawing initial ones."""
    with torch.device("meta"):
        net = convnets.create_model(name)
    net.load_state_dict({key: weight.clone() for key, weight in weights.items()}, assign=True)
    return net


def as_the_paper_normalises(net: nn.Module) -> None:
    """Normalise after the pool, with an alpha that is not divided by the window."""
    for stage, pool in ((net.features.stage1, "pool1"), (net.features.stage2, "pool2")):
        stage.unit1.use_lrn = False
        setattr(stage, pool, nn.Sequential(getattr(stage, pool), LocalResponseNorm()))


def as_the_authors_normalise(net: nn.Module) -> None:
    """Give batch norm the authors' constant, which torchvision has and timm does not have."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-3


def with_plain_relu(net: nn.Module) -> nn.Module:
    """Replace ReLU6 by the paper's ReLU."""
    for module in list(net.modules()):
        for child, layer in list(module.named_children()):
            if isinstance(layer, nn.ReLU6):
                setattr(module, child, nn.ReLU(inplace=True))
    return net


def randomise(net: nn.Module, batch: Tensor) -> None:
    """Draw weights, biases and scales at random; take batch norm's statistics from `batch`.

    All tensors then differ, so a converter that mixes them up is found. With random statistics,
    deep networks would give all images the same scores.
    """
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            module.momentum = 1.0
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight)
        if getattr(module, "bias", None) is not None:
            nn.init.normal_(module.bias, std=0.1)
    with torch.no_grad():
        net.train()(batch)
    net.eval()


def without_chance(net: nn.Module) -> nn.Module:
    for module in net.modules():
        if isinstance(module, (nn.Dropout, StochasticDepth, torchvision.ops.StochasticDepth)):
            module.p = 0.0
        if hasattr(module, "drop_rate"):  # timm's dropout without a layer
            module.drop_rate = 0.0
    return net


def main_scores(output: Tensor | tuple[Tensor, ...]) -> Tensor:
    """The scores alone, since torchvision's GoogLeNet also returns auxiliary scores."""
    return output if isinstance(output, Tensor) else output[0]


def images(name: str) -> Iterator[Tensor]:
    for height, width in SIZES.get(name, ((96, 96), (75, 107))):
        yield torch.randn(2, 3, height, width)


def test_there_is_a_public_network_for_each_kind_of_block():
    assert set(BLOCKS) <= set(TRAINED)


@pytest.mark.parametrize(("source", "name"), parameters(PAIRS))
def test_outputs_agree_at_two_sizes(source, name):
    theirs = reference(source, name)
    randomise(theirs, torch.cat([*(next(images(name)) for _ in range(3))]))
    weights = checkpoints.rename_keys(name, theirs.state_dict(), SOURCES[source][name])
    ours = ours_with(name, weights).eval()
    with torch.inference_mode():
        for batch in images(name):
            expected = theirs(batch)
            scale = expected.abs().max()
            assert (
                expected[0] - expected[1]
            ).std() > 0.01 * scale  # the scores depend on the image
            torch.testing.assert_close(ours(batch) / scale, expected / scale, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("source", "name"), parameters(TRAINED))
def test_training_losses_and_gradients_agree(source, name):
    """At the odd size; outputs are compared at both."""
    theirs = without_chance(reference(source, name)).train().double()
    network = SOURCES[source][name]
    ours = ours_with(name, checkpoints.rename_keys(name, theirs.state_dict(), network))
    without_chance(ours).train()
    *_, batch = images(name)
    labels = torch.tensor([3, 7])
    losses = [cross_entropy(main_scores(net(batch.double())), labels) for net in (ours, theirs)]
    for loss in losses:
        loss.backward()
    torch.testing.assert_close(*losses, rtol=1e-9, atol=1e-9)
    gradients = {
        key: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        for key, parameter in theirs.named_parameters()
    }
    converted = checkpoints.rename_keys(name, theirs.state_dict() | gradients, network)
    for key, parameter in ours.named_parameters():
        if not torch.equal(parameter.grad, converted[key]):  # much faster than assert_close
            torch.testing.assert_close(parameter.grad, converted[key], rtol=1e-7, atol=1e-9)
