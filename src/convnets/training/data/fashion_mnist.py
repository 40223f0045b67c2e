"""Fashion-MNIST (Xiao et al., 2017) as tensors.

A small subset is part of the course. The full set is read from a folder, from Debian's package
`dataset-fashion-mnist`, or downloaded by torchvision.
"""

import gzip
import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch

from convnets.training.data.dataset import DOWNLOADS, Dataset, Split

CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
SUBSET_FILE = "fashion_mnist_small.npz"
PREFIX = {"train": "train", "test": "t10k"}
IMAGES_MAGIC, LABELS_MAGIC = 2051, 2049


def subset_path() -> Path:
    """Path of the subset: inside an installed package, or in `data/` of a checkout.

    Raises:
        FileNotFoundError: it is missing from both.
    """
    package = Path(__file__).resolve().parents[2]
    places = [package / "data" / SUBSET_FILE, package.parents[1] / "data" / SUBSET_FILE]
    for place in places:
        if place.is_file():
            return place
    raise FileNotFoundError(
        f"{SUBSET_FILE} is missing from {places[1].parent}; restore it with "
        f"`git checkout -- data/{SUBSET_FILE}`, or create it with `python data/make_subset.py`"
    )


def read_original(root: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 28, 28) and labels (N,), uint8, from the original idx files.

    Args:
        root: folder of the files, compressed or not.
        split: "train" or "test".

    Raises:
        FileNotFoundError: a file is missing.
        RuntimeError: a file is damaged, or images and labels differ in number.
    """
    images = _read_idx(root, f"{PREFIX[split]}-images-idx3-ubyte", IMAGES_MAGIC)
    labels = _read_idx(root, f"{PREFIX[split]}-labels-idx1-ubyte", LABELS_MAGIC)
    if len(images) != len(labels):
        raise RuntimeError(
            f"{root} has {len(images)} {split} images but {len(labels)} labels; "
            "the files belong to different data sets: download all four again"
        )
    return images, labels


def load_subset() -> Dataset:
    """Load the subset that is part of the course: images (N, 1, 28, 28).

    Raises:
        FileNotFoundError: the file is missing.
        RuntimeError: the file is damaged.
    """
    path = subset_path()
    try:
        with np.load(path) as arrays:
            train, test = (
                _split(arrays[f"{part}_images"], arrays[f"{part}_labels"])
                for part in ("train", "test")
            )
    except (OSError, ValueError, KeyError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise RuntimeError(
            f"{path} is damaged ({error}); restore it with `git checkout -- data/{SUBSET_FILE}`"
        ) from error
    return Dataset("fashion-mnist-small", train, test, CLASSES, str(path))


def load_full(root: Path | None) -> Dataset:
    """Load all 60,000 training and 10,000 test images (N, 1, 28, 28).

    Args:
        root: folder of the four original files; if `None`, Debian's folder or a download.

    Raises:
        FileNotFoundError: a file is missing, or the download failed.
        RuntimeError: a file is damaged.
    """
    folder = root or (DEBIAN if DEBIAN.is_dir() else _download())
    train, test = (_split(*read_original(folder, part)) for part in ("train", "test"))
    return Dataset("fashion-mnist", train, test, CLASSES, str(folder))


def _download() -> Path:
    from torchvision.datasets import FashionMNIST

    try:
        FashionMNIST(str(DOWNLOADS), download=True)
    except Exception as error:
        raise FileNotFoundError(
            "the full Fashion-MNIST could not be found or downloaded; install Debian's package "
            "dataset-fashion-mnist, or name the folder of the four original files (root=…, "
            "--data-root on the command line), or use fashion-mnist-small"
        ) from error
    return DOWNLOADS / "FashionMNIST" / "raw"


def _split(images: np.ndarray, labels: np.ndarray) -> Split:
    return Split(torch.from_numpy(images).unsqueeze(1), torch.from_numpy(labels).long())


def _read_idx(root: Path, stem: str, magic: int) -> np.ndarray:
    """The array of one idx file: a big-endian magic number, the sizes, then the bytes."""
    path = next((p for p in (root / stem, root / f"{stem}.gz") if p.is_file()), None)
    if path is None:
        raise FileNotFoundError(
            f"{stem}[.gz] is not in {root}; "
            "name the folder of the four original Fashion-MNIST files"
        )
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        header = np.frombuffer(raw, ">i4", 1 + magic % 256)
        if header[0] != magic:
            raise ValueError(f"magic number {header[0]} instead of {magic}")
        return np.frombuffer(raw, np.uint8, offset=header.nbytes).reshape(header[1:]).copy()
    except (OSError, ValueError, EOFError, zlib.error) as error:
        raise RuntimeError(f"{path} is damaged ({error}); download it again") from error
