"""Batches of normalised images on a device; their order depends on seed and epoch alone."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from convnets.layers import ImageClassifier
from convnets.training.data import AnyDataset, AnySplit, FolderSplit, Split
from convnets.training.data.image_folder import warn_about_corrupt


class Batches:
    """The images of a split: small ones stay on the device that computes, files are read in time.

    Images smaller than the network takes are padded with black.

    Args:
        split: the images to take.
        dataset: the set they belong to, for mean and deviation of its pixels.
        net: the network that will see them.
        device: where they go.
        batch_size: images in a batch over all processes together.
        seed: shuffles each epoch in a way of its own; `None` keeps the order.
        workers: processes that read files.
    """

    def __init__(
        self,
        split: AnySplit,
        dataset: AnyDataset,
        net: nn.Module,
        device: torch.device,
        batch_size: int,
        seed: int | None = None,
        workers: int = 0,
    ) -> None:
        self.mean, self.std = dataset.mean.to(device), dataset.std.to(device)
        self.smallest = net.smallest_input if isinstance(net, ImageClassifier) else 1
        self.split, self.device, self.workers = split, device, workers
        self.images = self._ready(split.images) if isinstance(split, Split) else None
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
        mine = [batch[rank::processes] for batch in order.split(self.batch_size)]
        if self.images is None:
            yield from self._read(mine[first : len(self)], number)
            return
        for places in mine[first : len(self)]:
            yield self.images[places], self.labels[places]

    def _read(self, batches: list[Tensor], epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches from files, decoded by the workers while the network computes."""
        assert isinstance(self.split, FolderSplit)
        loader = DataLoader(
            _Files(self.split, self.seed, epoch),
            batch_sampler=[batch.tolist() for batch in batches],
            num_workers=self.workers,
            collate_fn=_together,
            pin_memory=self.device.type == "cuda",
        )
        for images, labels, damaged in loader:
            warn_about_corrupt(damaged)
            if len(labels):
                yield self._ready(images), labels.to(self.device)

    def _ready(self, images: Tensor) -> Tensor:
        """Normalised, padded, on the device."""
        missing = max(0, self.smallest - min(images.shape[-2:]))
        before, after = missing // 2, missing - missing // 2
        images = pad(images.to(self.device), (before, after, before, after))
        images = images.float().div(255).sub(self.mean).div(self.std)
        return images.contiguous(memory_format=torch.channels_last)


# An image and its label, and the files that could not be read in its place.
Item = tuple[Tensor | None, Tensor, list[Path]]


class _Files(TorchDataset[Item]):
    """The files of a split; how one is cropped depends on seed, epoch and file alone.

    So neither the number of workers nor a pause changes a run.
    """

    def __init__(self, split: FolderSplit, seed: int | None, epoch: int) -> None:
        self.split, self.seed, self.epoch = split, seed, epoch

    def __getitem__(self, place: int) -> Item:
        damaged: list[Path] = []
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(step_seed(self.seed or 0, self.epoch * len(self.split) + place))
            image = self.split.image(place, random_crop=self.seed is not None)
            while image is None and len(damaged) < len(self.split):
                damaged.append(self.split.paths[place])
                if self.seed is None:  # counted once, or not at all
                    break
                place = (place + 1) % len(self.split)
                image = self.split.image(place, random_crop=True)
        return image, self.split.labels[place], damaged


def _together(items: list[Item]) -> tuple[Tensor, Tensor, list[Path]]:
    whole = [(image, label) for image, label, _ in items if image is not None]
    damaged = [path for _, _, paths in items for path in paths]
    if not whole:
        return torch.empty(0), torch.empty(0), damaged
    images, labels = zip(*whole, strict=True)
    return torch.stack(images), torch.stack(labels), damaged


def step_seed(seed: int, step: int, rank: int = 0) -> int:
    """A seed of its own for each step of each process of each run."""
    return (seed << 40) + (step << 8) + rank
