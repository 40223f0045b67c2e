"""Where a network looks: Grad-CAM.

Ramprasaath R. Selvaraju, Michael Cogswell, Abhishek Das, Ramakrishna Vedantam, Devi Parikh, Dhruv
Batra: "Grad-CAM: visual explanations from deep networks via gradient-based localization", 2017,
section 3, equations 1 and 2.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from convnets.analysis.watching import check_batch, evaluating
from convnets.layers import ImageClassifier


def grad_cam(net: nn.Module, images: Tensor, classes: Tensor | None = None) -> Tensor:
    """Places of each image that speak for a class.

    The last maps (`net.features`) are added up, each with the mean gradient of the class's score
    (before the softmax) by that map; what speaks against the class is set to 0. The result is
    enlarged bilinearly from the last maps' size, so it is as coarse as they are. The network runs
    in evaluation mode and is left as it was.

    Args:
        net: any network of the course (`convnets.layers.ImageClassifier`).
        images: a batch (N, C, H, W).
        classes: the class to explain for each image, (N,); the predicted ones if none are given.

    Returns:
        (N, H, W) from 0 to 1: each image's largest value is 1, whatever its score, so maps of two
        images do not compare. All 0 where nothing speaks for the class.

    Raises:
        ValueError: no network of the course, last maps of a single place, a class that does not
            exist, or images and classes that do not fit.
    """
    if not isinstance(net, ImageClassifier):
        raise ValueError(
            f"Grad-CAM needs a network with features and classifier, got a {type(net).__name__}; "
            "wrap both in convnets.layers.ImageClassifier"
        )
    check_batch(images, classes)
    net.check(images)
    with evaluating(net):
        with torch.no_grad():
            maps = net.features(images)
        if maps.ndim != 4 or maps.shape[-2:] == (1, 1):
            raise ValueError(
                f"the last maps have the shape {tuple(maps.shape)} and no places to tell apart; "
                "use larger images, or a network whose features end in maps"
            )
        with torch.enable_grad():
            maps = maps.detach().requires_grad_()
            scores = net.classifier(maps.clone())  # a clone, which in-place layers may overwrite
            chosen = _chosen(scores, classes)
            (gradients,) = torch.autograd.grad(scores.gather(1, chosen).sum(), maps)
    weights = gradients.mean(dim=(2, 3), keepdim=True)
    evidence = (weights * maps.detach()).sum(dim=1, keepdim=True).relu()  # N x 1 x H' x W'
    heat = interpolate(evidence, images.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
    largest = heat.amax(dim=(1, 2), keepdim=True)
    return heat / torch.where(largest > 0, largest, 1)


def _chosen(scores: Tensor, classes: Tensor | None) -> Tensor:
    """(N, 1)"""
    if classes is None:
        return scores.argmax(dim=1, keepdim=True)
    if classes.min() < 0 or classes.max() >= scores.shape[1]:
        raise ValueError(
            f"classes must be from 0 to {scores.shape[1] - 1}, "
            f"got {classes.min().item()} to {classes.max().item()}"
        )
    return classes.to(scores.device).long().unsqueeze(1)
