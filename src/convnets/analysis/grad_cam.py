"""Where a network looks: Grad-CAM.

Ramprasaath R. Selvaraju, Michael Cogswell, Abhishek Das, Ramakrishna Vedantam, Devi Parikh, Dhruv
Batra: "Grad-CAM: visual explanations from deep networks via gradient-based localization", 2017,
section 3, equations 1 and 2.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from convnets import transfer
from convnets.analysis.observing import check_batch, observe, outside_inference, recording
from convnets.layers import ImageClassifier


def grad_cam(net: nn.Module, images: Tensor, classes: Tensor | None = None) -> Tensor:
    """Places of each image that speak for a class.

    The last maps, the output of `net.features`, are added up, each weighted by the mean gradient of
    the class's score (before the softmax) with respect to that map; negative sums, which speak
    against the class, become 0. The result is enlarged bilinearly from the size of the last maps,
    so it is as coarse as they are. The network runs in evaluation mode and is unchanged afterwards.

    Args:
        net: any network of the course (`convnets.layers.ImageClassifier`).
        images: a batch (N, C, H, W).
        classes: the class to explain for each image, (N,), integers; by default the predicted ones.

    Returns:
        (N, H, W) from 0 to 1. The largest value of each image is 1, whatever the class's score, so
        maps of different images cannot be compared. All 0 where nothing speaks for the class.

    Raises:
        ValueError: the network is not an `ImageClassifier`, its last maps are 1x1, a class does not
            exist, the batch is empty, or images and classes do not fit.

    Example:
        >>> import convnets
        >>> net = convnets.create_model("resnet20")
        >>> grad_cam(net, torch.rand(2, 3, 32, 32)).shape
        torch.Size([2, 32, 32])
    """
    if not isinstance(net, ImageClassifier):
        raise ValueError(
            f"Grad-CAM needs a network with features and classifier, got a {type(net).__name__}; "
            "wrap both in convnets.layers.ImageClassifier"
        )
    check_batch(images, classes)
    net.check(images)
    maps = observe(net.features, images, evaluate=True)
    if maps.ndim != 4 or maps.shape[-2:] == (1, 1):
        raise ValueError(
            f"the last maps have the shape {tuple(maps.shape)} and no places to distinguish; "
            "use larger images, or a network whose features end in maps"
        )
    with recording():
        maps = maps.detach().requires_grad_()
        # a clone, because an in-place layer may overwrite it
        scores = observe(net.classifier, maps.clone(), evaluate=True, gradients=True)
        (gradients,) = torch.autograd.grad(scores.gather(1, _chosen(scores, classes)).sum(), maps)
    weights = gradients.mean(dim=(2, 3), keepdim=True)
    evidence = (weights * maps.detach()).sum(dim=1, keepdim=True).relu()  # (N, 1, H', W')
    heat = interpolate(evidence, images.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
    largest = heat.amax(dim=(1, 2), keepdim=True)
    return heat / torch.where(largest > 0, largest, 1)


def _chosen(scores: Tensor, classes: Tensor | None) -> Tensor:
    """The class of each image, (N, 1)."""
    if classes is None:
        return scores.argmax(dim=1, keepdim=True)
    numbers = transfer.to_cpu(classes)
    if numbers.min() < 0 or numbers.max() >= scores.shape[1]:
        raise ValueError(
            f"classes must be from 0 to {scores.shape[1] - 1}, "
            f"got {numbers.min().item()} to {numbers.max().item()}"
        )
    chosen = transfer.to_device(outside_inference(classes), scores.device)
    return chosen.long().unsqueeze(1)
