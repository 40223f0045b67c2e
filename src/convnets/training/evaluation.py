"""Accuracy of trained networks: for one view of an image or several, one network or an ensemble."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate
from torchmetrics import MeanMetric
from torchvision.transforms.v2.functional import ten_crop

from convnets import transfer
from convnets.tables import counted
from convnets.training.batches import Batches, two_images
from convnets.training.data import AnyDataset, AnySplit, check_for_testing, load
from convnets.training.device import resolve_device

BATCH_SIZE = 500
SCALES = (0.875, 1.0, 1.125)


def single_view(images: Tensor) -> list[Tensor]:
    """The images (N, C, H, W) themselves."""
    return [images]


def ten_crops(images: Tensor) -> list[Tensor]:
    """Four corners, the centre and their mirror images: ten times (N, C, H, W).

    The crops measure seven eighths of the shorter side, as 224 of 256 pixels in Krizhevsky et al.
    (2012), section 4.1. They are resized to the full size, since a network may not accept smaller
    images.

    Args:
        images: (N, C, H, W).
    """
    side = min(images.shape[-2:])
    crops = ten_crop(images, [side * 7 // 8] * 2)
    return [interpolate(crop, images.shape[-2:], mode="bilinear") for crop in crops]


def multi_scale(images: Tensor) -> list[Tensor]:
    """Three sizes (N, C, H', W') and their mirror images (Simonyan & Zisserman, 2015, section 3.2).

    Args:
        images: (N, C, H, W); H' and W' are H and W times each of `SCALES`.
    """
    sizes = [interpolate(images, scale_factor=scale, mode="bilinear") for scale in SCALES]
    return [view for size in sizes for view in (size, size.flip(-1))]


VIEWS: dict[str, Callable[[Tensor], list[Tensor]]] = {
    "single": single_view,
    "10-crop": ten_crops,
    "multi-scale": multi_scale,
}


def evaluate(
    net: nn.Module | Sequence[nn.Module],
    data: AnyDataset | str = "fashion-mnist-small",
    device: torch.device | str | None = None,
    views: str = "single",
) -> float:
    """Accuracy on the test images, between 0 and 1.

    The probabilities of all views, and of all networks of an ensemble, are averaged.

    Args:
        net: a network (N, C, H, W) -> (N, classes), or several; their modes are left unchanged.
        data: a loaded data set or its name.
        device: where to compute; the GPU if there is one, otherwise the CPU.
        views: "single", "10-crop" or "multi-scale".

    Raises:
        ValueError: `net` is an empty list, views or device are unknown, images or labels cannot be
            right, the images do not fit the network, or it does not give a score for every class.

    Example:
        >>> import convnets
        >>> net = convnets.create_model("lenet5")
        >>> 0 <= evaluate(net, "fashion-mnist-small") <= 1
        True
    """
    nets = [net] if isinstance(net, nn.Module) else list(net)
    if not nets:
        raise ValueError("an ensemble needs at least one network, got an empty list")
    if views not in VIEWS:
        raise ValueError(f"unknown views {views!r}; choose one of {', '.join(VIEWS)}")
    dataset = load(data) if isinstance(data, str) else data
    check_for_testing(dataset, nets)
    target = resolve_device(device)
    classes = {check_scores(each.to(target), dataset, [dataset.test], target) for each in nets}
    if len(classes) > 1:
        raise ValueError(
            "the networks of an ensemble must know the same classes, got scores for "
            f"{' and '.join(map(str, sorted(classes)))} classes"
        )
    neediest = max(nets, key=lambda each: getattr(each, "smallest_input", 1))
    batches = Batches(dataset.test, dataset, neediest, target, BATCH_SIZE)
    _, accuracy = loss_and_accuracy(nets, batches, VIEWS[views])
    return accuracy


def check_scores(
    net: nn.Module, dataset: AnyDataset, splits: Sequence[AnySplit], device: torch.device
) -> int:
    """The number of classes that `net` knows, found by showing it two images of each split.

    Args:
        net: on `device`; its mode is left unchanged.
        dataset: the splits belong to it.
        splits: with the images and labels that are to be shown to the network.
        device: of the network.

    Raises:
        ValueError: `net` does not give a score for every class.
    """
    name, classes = type(net).__name__, 0
    for split in splits:
        highest = int(split.labels.max())
        scores = _scores_of_two(net, dataset, split, device)
        if not isinstance(scores, Tensor) or scores.ndim != 2:
            got = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
            raise ValueError(
                f"{name} must turn images (N, C, H, W) into scores (N, classes), got {got} for two "
                "images"
            )
        classes = scores.shape[1]
        if classes <= highest:
            raise ValueError(
                f"{name} gives scores for {counted(classes, 'class', 'classes')}, but the "
                f"labels of {dataset.name} run up to {highest}; create it with "
                f"num_classes={max(len(dataset.classes), highest + 1)}"
            )
    return classes


@torch.no_grad()
def _scores_of_two(
    net: nn.Module, dataset: AnyDataset, split: AnySplit, device: torch.device
) -> object:
    images, _ = two_images(split, dataset, net, device)
    was_training = net.training
    try:
        return net.eval()(images)
    finally:
        net.train(was_training)


@torch.no_grad()
def loss_and_accuracy(
    nets: Sequence[nn.Module],
    batches: Batches,
    views: Callable[[Tensor], list[Tensor]] = single_view,
    label_smoothing: float = 0.0,
    rank: int = 0,
    processes: int = 1,
) -> tuple[float, float]:
    """Mean over all images for the averaged probabilities of `nets` over `views`.

    Args:
        nets: networks (N, C, H, W) -> (N, classes) on the device of the batches.
        batches: images and labels.
        views: makes the views of a batch of images, as those in `VIEWS`.
        label_smoothing: of the loss, between 0 and 1.
        rank: index of this process, which evaluates its own part of each batch.
        processes: how many share a batch; all get the same result.

    Returns:
        The cross entropy in nats, and the accuracy between 0 and 1.

    Raises:
        ValueError: `batches` is empty.
    """
    modes = [net.training for net in nets]
    for net in nets:
        net.eval()
    loss, accuracy = (
        transfer.to_device(
            MeanMetric(nan_strategy="disable", sync_on_compute=processes > 1), batches.device
        )
        for _ in range(2)
    )
    for images, labels in batches.epoch(rank=rank, processes=processes):
        if not len(labels):  # the last batch has fewer images than there are processes
            continue
        scores = [net(view) for view in views(images) for net in nets]
        logs = torch.stack([score.float().log_softmax(dim=1) for score in scores])
        mean = logs.logsumexp(dim=0) - math.log(len(scores))  # (N, classes)
        loss.update(cross_entropy(mean, labels, reduction="none", label_smoothing=label_smoothing))
        accuracy.update((mean.argmax(1) == labels).float())
    for net, mode in zip(nets, modes, strict=True):
        net.train(mode)
    means = transfer.to_cpu(torch.stack([loss.compute(), accuracy.compute()])).tolist()
    if math.isnan(means[1]):
        raise ValueError("evaluation needs at least one image, got none")
    return means[0], means[1]
