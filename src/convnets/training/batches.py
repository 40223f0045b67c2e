"""Batches of normalised images on a device; their order depends on seed and epoch alone."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from convnets import transfer
from convnets.layers import ImageClassifier
from convnets.training.data import AnyDataset, AnySplit, FolderSplit, Split
from convnets.training.data.image_folder import warn_about_corrupt


class Batches:
    """The batches of a split. Images in memory move to the device once; files are read in batches.

    Images smaller than the network accepts are padded with black.

    Args:
        split: the images.
        dataset: the data set they belong to, for mean and standard deviation of its pixels.
        net: the network that will take them.
        device: where the batches are needed.
        batch_size: images in a batch, over all processes.
        seed: shuffles the images, differently in each epoch; `None` keeps their order.
        num_workers: processes that read files.
    """

    def __init__(
        self,
        split: AnySplit,
        dataset: AnyDataset,
        net: nn.Module,
        device: torch.device,
        batch_size: int,
        seed: int | None = None,
        num_workers: int = 0,
    ) -> None:
        self.upload = transfer.make_uploader(device)
        self.mean, self.std = self.upload(dataset.mean), self.upload(dataset.std)
        self.smallest = net.smallest_input if isinstance(net, ImageClassifier) else 1
        self.split, self.device, self.num_workers = split, device, num_workers
        self.images = (
            self._normalise(self.upload(split.images)) if isinstance(split, Split) else None
        )
        self.labels = self.upload(split.labels.long())
        self.batch_size = batch_size
        self.seed = seed

    def __len__(self) -> int:
        """Number of batches in an epoch; shuffled ones leave out the last, incomplete batch."""
        whole, rest = divmod(len(self.labels), self.batch_size)
        return whole + (rest > 0 and (self.seed is None or whole == 0))

    def epoch(
        self, number: int = 0, first: int = 0, rank: int = 0, processes: int = 1
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Images (N, C, H, W), float32, and labels (N,) of each batch.

        Args:
            number: of the epoch, which decides the order.
            first: batches to skip at the start, because they were used before a pause.
            rank: index of this process, which gets its own part of each batch.
            processes: how many share a batch.
        """
        order = torch.arange(len(self.split))
        if self.seed is not None:
            shuffle = torch.Generator().manual_seed(step_seed(self.seed, number))
            order = torch.randperm(len(order), generator=shuffle)
        if self.images is not None:
            order = self.upload(order)
        batches = [batch[rank::processes] for batch in order.split(self.batch_size)]
        batches = batches[first : len(self)]
        if self.images is None:
            yield from self._read(batches, number)
            return
        for indices in batches:
            yield self.images[indices], self.labels[indices]

    def _read(self, batches: list[Tensor], epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches from files, which workers decode while the network computes."""
        assert isinstance(self.split, FolderSplit)
        loader = DataLoader(
            _ImageFiles(self.split, self.seed, epoch),
            batch_sampler=[batch.tolist() for batch in batches],
            num_workers=self.num_workers,
            collate_fn=_collate,
            pin_memory=self.device.type == "cuda",
        )
        for batch in loader:
            if isinstance(batch, RuntimeError):
                raise batch
            images, labels, corrupt = batch
            warn_about_corrupt(corrupt)
            if len(labels):
                yield self._normalise(self.upload(images)), self.upload(labels)

    def _normalise(self, images: Tensor) -> Tensor:
        """Pad and normalise images (N, C, H, W), uint8, on the device."""
        missing = max(0, self.smallest - min(images.shape[-2:]))
        before, after = missing // 2, missing - missing // 2
        images = pad(images, (before, after, before, after))
        images = images.float().div(255).sub(self.mean).div(self.std)
        return images.contiguous(memory_format=torch.channels_last)


# An image (C, H, W) or `None`, its label, and the corrupt files that were tried before it; or the
# error that ends the run, which a worker returns because one that it raises carries its traceback.
Item = tuple[Tensor | None, Tensor, list[Path]] | RuntimeError


class _ImageFiles(TorchDataset[Item]):
    """The files of a split. The random crop of each depends on seed, epoch and file alone.

    Therefore neither the number of workers nor a pause changes a run.
    """

    def __init__(self, split: FolderSplit, seed: int | None, epoch: int) -> None:
        self.split, self.seed, self.epoch = split, seed, epoch

    def __getitem__(self, index: int) -> Item:
        try:
            return self._read(index)
        except RuntimeError as error:
            return error

    def _read(self, index: int) -> tuple[Tensor | None, Tensor, list[Path]]:
        corrupt: list[Path] = []
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(step_seed(self.seed or 0, self.epoch * len(self.split) + index))
            image = self.split.image(index, random_crop=self.seed is not None)
            while image is None:
                corrupt.append(self.split.paths[index])
                if self.seed is None:  # in evaluation, each image counts at most once
                    break
                if len(corrupt) == len(self.split):
                    raise self.split.unreadable()
                index = (index + 1) % len(self.split)
                image = self.split.image(index, random_crop=True)
        return image, self.split.labels[index], corrupt


def _collate(items: list[Item]) -> tuple[Tensor, Tensor, list[Path]] | RuntimeError:
    """Images (N, C, H, W), labels (N,) and the corrupt files of one batch; or its first error."""
    readable, corrupt = [], []
    for item in items:
        if isinstance(item, RuntimeError):
            return item
        image, label, paths = item
        corrupt += paths
        if image is not None:
            readable.append((image, label))
    if not readable:
        return torch.empty(0), torch.empty(0), corrupt
    images, labels = zip(*readable, strict=True)
    return torch.stack(images), torch.stack(labels), corrupt


def two_images(
    split: AnySplit, dataset: AnyDataset, net: nn.Module, device: torch.device
) -> tuple[Tensor, Tensor]:
    """A batch to try `net` with: images (2, C, H, W) and labels (2,), which are all the first ones.

    Images in files are replaced by black ones, so that none needs to be read.
    """
    first = torch.zeros(2, dtype=torch.long)
    if isinstance(split, Split):
        two = split.subset(first)
    else:
        shape = (2, dataset.in_channels, split.image_size, split.image_size)
        two = Split(torch.zeros(shape, dtype=torch.uint8), split.labels[first])
    return next(Batches(two, dataset, net, device, batch_size=2).epoch())


def step_seed(seed: int, step: int, rank: int = 0) -> int:
    """A different seed for each step of each process of each run."""
    return (seed << 40) + (step << 8) + rank
