"""How well trained networks do: one crop or ten, one size or several, one network or many."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torchmetrics.classification import MulticlassAccuracy
from torchvision.transforms.v2.functional import ten_crop

from convnets.training.batches import Batches
from convnets.training.data import AnyDataset, load
from convnets.training.device import default_device

BATCH = 500
SCALES = (0.875, 1.0, 1.125)


def one_view(images: Tensor) -> list[Tensor]:
    """The images as they are."""
    return [images]


def ten_crops(images: Tensor) -> list[Tensor]:
    """Four corners and the centre, seven eighths of the side, and their mirror images.

    Krizhevsky et al. (2012), section 4.1: 224 of 256 pixels. Back at the full size, since a network
    may take no smaller one.
    """
    side = min(images.shape[-2:])
    crops = ten_crop(images, [side * 7 // 8] * 2)
    return [interpolate(crop, images.shape[-2:], mode="bilinear") for crop in crops]


def several_scales(images: Tensor) -> list[Tensor]:
    """Three sizes (Simonyan & Zisserman, 2015, section 3.2), each with its mirror image."""
    sizes = [interpolate(images, scale_factor=scale, mode="bilinear") for scale in SCALES]
    return [view for size in sizes for view in (size, size.flip(-1))]


VIEWS: dict[str, Callable[[Tensor], list[Tensor]]] = {
    "single": one_view,
    "10-crop": ten_crops,
    "multi-scale": several_scales,
}


def evaluate(
    net: nn.Module | Sequence[nn.Module],
    data: AnyDataset | str = "fashion-mnist-small",
    device: torch.device | str | None = None,
    views: str = "single",
) -> float:
    """Share of the test images, between 0 and 1, that `net` classifies right.

    The probabilities of all views, and of all networks of an ensemble, are averaged.

    Args:
        net: a network of the course's contract, or several; their modes are left as they are.
        data: a loaded data set or its name.
        device: where to compute; the GPU if there is one, else the CPU.
        views: "single", "10-crop" or "multi-scale".

    Raises:
        ValueError: no network, unknown views, or images that do not fit the network.
    """
    nets = [net] if isinstance(net, nn.Module) else list(net)
    if not nets:
        raise ValueError("there is no network to evaluate; give at least one")
    if views not in VIEWS:
        raise ValueError(f"unknown views {views!r}; choose one of {', '.join(VIEWS)}")
    dataset = load(data) if isinstance(data, str) else data
    target = torch.device(device) if device is not None else default_device()
    neediest = max(nets, key=lambda each: getattr(each, "smallest_input", 1))
    batches = Batches(dataset.test, dataset, neediest, target, BATCH)
    return accuracy([each.to(target) for each in nets], batches, VIEWS[views])


@torch.no_grad()
def accuracy(
    nets: Sequence[nn.Module],
    batches: Batches,
    views: Callable[[Tensor], list[Tensor]] = one_view,
) -> float:
    """Share of the images that the average of `nets` over `views` classifies right."""
    modes = [net.training for net in nets]
    for net in nets:
        net.eval()
    metric: MulticlassAccuracy | None = None
    for images, labels in batches.epoch():
        scores = [net(view) for view in views(images) for net in nets]
        mean = torch.stack([score.float().softmax(dim=1) for score in scores]).mean(dim=0)
        if metric is None:
            metric = MulticlassAccuracy(mean.shape[1], average="micro").to(mean.device)
        metric.update(mean, labels)
    for net, mode in zip(nets, modes, strict=True):
        net.train(mode)
    if metric is None:
        raise ValueError("there are no images to evaluate on")
    return metric.compute().item()
