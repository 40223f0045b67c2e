"""What training keeps and inference holds, against PyTorch on the processor."""

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

from convnets.analysis import inference_peak, saved_for_backward, trace
from convnets.training.engine import recompute_features_
from tests.conftest import on_meta

MIB = 2**20


def saved_by_autograd(net: nn.Module, side: int, batch: int) -> int:
    """The bytes that a forward pass of training saves on the processor, parameters left out."""
    blocks: dict[int, Tensor] = {}

    def save(tensor: Tensor) -> Tensor:
        blocks[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    images = torch.randn(batch, 3, side, side, dtype=next(net.parameters()).dtype)
    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        net.train()(images)
    state = {t.untyped_storage().data_ptr() for t in (*net.parameters(), *net.buffers())}
    return sum(t.untyped_storage().nbytes() for p, t in blocks.items() if p not in state)


def each_image(net: nn.Module, side: int) -> int:
    """What one more image adds."""
    return saved_by_autograd(net, side, 3) - saved_by_autograd(net, side, 2)


def held_on_the_processor(net: nn.Module, side: int) -> int:
    """The peak of the profiler's allocations in a forward pass of inference, with the image."""
    image = torch.randn(1, 3, side, side)
    net.eval()
    with torch.no_grad(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as run:
        net(image)
    events = [e for e in run.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = peak = 4 * image.numel()
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


def test_the_networks_of_the_chapter_keep_what_autograd_saves():
    assert saved_for_backward(on_meta("resnet50")) / MIB == pytest.approx(82, abs=0.5)
    assert saved_for_backward(on_meta("densenet121")) / MIB == pytest.approx(125, abs=1)


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 24, 4, 4)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.conv(x).flatten(2).unflatten(1, (3, 2, 4)).transpose(3, 4).unbind(1)
        return F.scaled_dot_product_attention(q, k, v)


class Standardised(nn.Conv2d):
    """Its computed weight is saved, but only once however many images there are."""

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight - self.weight.mean(dim=(1, 2, 3), keepdim=True)
        return F.conv2d(x, weight, self.bias)


NETS = {
    "convolution": lambda: nn.Conv2d(3, 5, 3),
    "in place": lambda: nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.ReLU(inplace=True)),
    "not in place": lambda: nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.SiLU()),
    "pool": lambda: nn.Sequential(nn.Conv2d(3, 5, 3), nn.MaxPool2d(2), nn.Flatten()),
    "dropout": lambda: nn.Sequential(nn.Conv2d(3, 5, 3), nn.Dropout(0.5)),
    "standardised": lambda: nn.Sequential(Standardised(3, 7, 3), nn.ReLU()),
    "attention": Attention,
    "half": lambda: nn.Sequential(nn.Conv2d(3, 5, 3), nn.GELU()).to(torch.bfloat16),
    "frozen": lambda: nn.Sequential(nn.Conv2d(3, 5, 3).requires_grad_(False), nn.Conv2d(5, 2, 1)),
    "all frozen": lambda: nn.Conv2d(3, 5, 3).requires_grad_(False),
}


@pytest.mark.parametrize("make", NETS.values(), ids=NETS)
def test_saved_bytes_are_those_of_the_processor(make):
    net = make()
    assert saved_for_backward(net, 16) == pytest.approx(each_image(net, 16), abs=4 * 2 * 5)
    assert trace(net, 16).saved_bytes == saved_for_backward(net, 16)


def test_recomputing_keeps_less():
    plain = saved_for_backward(on_meta("densenet121"), 64)
    frugal = on_meta("densenet121")
    recompute_features_(frugal)
    assert saved_for_backward(frugal, 64) < 0.6 * plain


def test_a_layer_is_charged_with_what_it_is_the_first_to_save():
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
    conv, norm, relu = trace(net, 8)
    values, statistics = 8 * 8 * 4, 2 * 4 * 4
    assert conv.saved_bytes == 3 * values  # the image
    assert norm.saved_bytes == 4 * values + statistics // 2  # the convolution's maps
    assert relu.saved_bytes == 4 * values  # its own


def test_a_network_that_cannot_train_is_traced_without_saved_bytes():
    class Chooses(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv(x)
            return x * x.mean().item() if self.training else x

    result = trace(Chooses(), 8)
    assert (result.saved_bytes, result["conv"].saved_bytes) == (None, None)
    assert result.peak_bytes > 0
    assert "None" not in str(result.table().rows)
    with pytest.raises(ValueError, match="depend on the values of the pixels"):
        saved_for_backward(Chooses(), 8)


def test_the_peak_is_what_is_held_at_once():
    net = nn.Sequential(nn.Conv2d(3, 10, 1), nn.ReLU(inplace=True), nn.Conv2d(10, 2, 1))
    image, wide, narrow = 3 * 64 * 4, 10 * 64 * 4, 2 * 64 * 4
    assert inference_peak(net, 8) == image + wide + narrow
    assert [row.peak_bytes for row in trace(net, 8)] == [image + wide] * 2 + [image + wide + narrow]
    net[1].inplace = False
    assert inference_peak(net, 8) == image + 2 * wide


def test_a_shortcut_is_held_until_it_is_added():
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1))

        def forward(self, x: Tensor) -> Tensor:
            x = x + 1
            return self.conv(x) + x

    maps = 3 * 64 * 4
    assert inference_peak(Residual(), 8) == 4 * maps  # image, shortcut, a convolution's two


@pytest.mark.slow
@pytest.mark.parametrize("name", ["googlenet", "densenet121", "swin_t", "vit_b_16"])
def test_the_peak_is_that_of_the_profiler(name):
    net = torchvision.models.get_model(name, weights=None)
    assert inference_peak(net) == held_on_the_processor(net, 224)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "efficientnet_b0", "vit_tiny_patch16_224"])
def test_saved_bytes_of_public_networks_are_those_of_the_processor(name):
    net = timm.create_model(name)
    assert saved_for_backward(net) == pytest.approx(each_image(net, 224), rel=0.005)
