"""Batches of normalised images on a device; their order depends on seed and epoch alone."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from convnets.layers import ImageClassifier
from convnets.training.data import Dataset, Split


class Batches:
    """All images of a split, in memory, on the device that computes.

    Images smaller than the network takes are padded with black.

    Args:
        split: the images to take.
        dataset: the set they belong to, for mean and deviation of its pixels.
        net: the network that will see them.
        device: where they go.
        batch_size: images in a batch over all processes together.
        seed: shuffles each epoch in a way of its own; `None` keeps the order.
    """

    def __init__(
        self,
        split: Split,
        dataset: Dataset,
        net: nn.Module,
        device: torch.device,
        batch_size: int,
        seed: int | None = None,
    ) -> None:
        images = split.images.to(device).float().div(255).sub(dataset.mean).div(dataset.std)
        smallest = net.smallest_input if isinstance(net, ImageClassifier) else 1
        missing = max(0, smallest - min(images.shape[-2:]))
        before, after = missing // 2, missing - missing // 2
        images = pad(images, (before, after, before, after), value=-dataset.mean / dataset.std)
        self.images = images.contiguous(memory_format=torch.channels_last)
        self.labels = split.labels.to(device)
        self.batch_size = batch_size
        self.seed = seed

    def __len__(self) -> int:
        """Batches in an epoch; in training the images that do not fill one are left out."""
        whole, rest = divmod(len(self.labels), self.batch_size)
        return whole + (rest > 0 and (self.seed is None or whole == 0))

    def epoch(
        self, number: int = 0, first: int = 0, rank: int = 0, processes: int = 1
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Images (n, C, H, W) and labels (n,) of each batch.

        Args:
            number: of the epoch, which decides the order.
            first: batches to leave out at the start, those that were seen before a pause.
            rank: number of this process, which gets its own part of each batch.
            processes: how many share a batch.
        """
        order = torch.arange(len(self.labels), device=self.labels.device)
        if self.seed is not None:
            shuffle = torch.Generator().manual_seed(step_seed(self.seed, number))
            order = torch.randperm(len(order), generator=shuffle).to(self.labels.device)
        for batch in order.split(self.batch_size)[first : len(self)]:
            mine = batch[rank::processes]
            yield self.images[mine], self.labels[mine]


def step_seed(seed: int, step: int, rank: int = 0) -> int:
    """A seed of its own for each step of each process of each run."""
    return (seed << 40) + (step << 8) + rank
