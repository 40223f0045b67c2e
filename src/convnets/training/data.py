"""Fashion-MNIST (Xiao et al., 2017) as tensors: a small subset that is always there, or the full
set.

`load("fashion-mnist-small")` reads the subset that comes with the course. `load("fashion-mnist")`
looks for the original files in `root`, in the folder of Debian's package `dataset-fashion-mnist`,
and else lets torchvision download them.
"""

import gzip
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

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
NAMES = ("fashion-mnist-small", "fashion-mnist")
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
DOWNLOADS = Path.home() / ".cache" / "convnets"
SUBSET_FILE = "fashion_mnist_small.npz"
PREFIX = {"train": "train", "test": "t10k"}
IMAGES_MAGIC, LABELS_MAGIC = 2051, 2049


@dataclass(frozen=True)
class Split:
    """Images (N, C, H, W), uint8, and labels (N,), int64."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Dataset:
    """A training and a test split, the class names, and where the images came from."""

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]
    source: str

    @property
    def in_channels(self) -> int:
        return self.train.images.shape[1]

    @property
    def mean(self) -> float:
        """Mean of the training pixels on the scale 0 to 1."""
        return self.train.images.double().mean().item() / 255

    @property
    def std(self) -> float:
        """Standard deviation of the training pixels on the scale 0 to 1."""
        return self.train.images.double().std().item() / 255


def load(name: str = "fashion-mnist-small", root: Path | str | None = None) -> Dataset:
    """The data set called `name`.

    Args:
        name: `fashion-mnist-small` (10,000 + 2,000 images, comes with the course) or
            `fashion-mnist` (60,000 + 10,000).
        root: folder of the original idx files, `.gz` or unpacked, for `fashion-mnist`.

    Raises:
        ValueError: unknown name.
        FileNotFoundError: a file is missing; the sentence says where it may come from.
        RuntimeError: a file is damaged.
    """
    if name == "fashion-mnist-small":
        return _load_subset()
    if name == "fashion-mnist":
        return _load_full(Path(root) if root is not None else None)
    raise ValueError(f"unknown data set {name!r}; choose one of {', '.join(NAMES)}")


def subset_path() -> Path:
    """Where the subset lies: inside an installed package, or in `data/` of a checkout."""
    package = Path(__file__).resolve().parents[1]
    places = [package / "data" / SUBSET_FILE, package.parents[1] / "data" / SUBSET_FILE]
    for place in places:
        if place.is_file():
            return place
    raise FileNotFoundError(
        f"{SUBSET_FILE} is missing from {places[1].parent}; restore it with "
        f"`git checkout -- data/{SUBSET_FILE}` or make it again with `python data/make_subset.py`"
    )


def read_original(root: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 28, 28) and labels (N,), uint8, from the original idx files in `root`."""
    images = _read_idx(root, f"{PREFIX[split]}-images-idx3-ubyte", IMAGES_MAGIC)
    labels = _read_idx(root, f"{PREFIX[split]}-labels-idx1-ubyte", LABELS_MAGIC)
    if len(images) != len(labels):
        raise RuntimeError(
            f"{root} has {len(images)} {split} images but {len(labels)} labels; "
            "the files belong to different data sets: fetch the four files again"
        )
    return images, labels


def _load_subset() -> Dataset:
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


def _load_full(root: Path | None) -> Dataset:
    folder = root or (DEBIAN if DEBIAN.is_dir() else _download())
    train, test = (_split(*read_original(folder, part)) for part in ("train", "test"))
    return Dataset("fashion-mnist", train, test, CLASSES, str(folder))


def _download() -> Path:
    from torchvision.datasets import FashionMNIST

    try:
        FashionMNIST(str(DOWNLOADS), download=True)
    except Exception as error:
        raise FileNotFoundError(
            "the full Fashion-MNIST is not here and could not be downloaded; "
            "install Debian's package dataset-fashion-mnist, or name the folder of the four "
            "original files (root=…, --data-root on the command line), or use fashion-mnist-small"
        ) from error
    return DOWNLOADS / "FashionMNIST" / "raw"


def _split(images: np.ndarray, labels: np.ndarray) -> Split:
    return Split(torch.from_numpy(images).unsqueeze(1), torch.from_numpy(labels).long())


def _read_idx(root: Path, stem: str, magic: int) -> np.ndarray:
    """One idx file: a big-endian magic number, the sizes, then bytes."""
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
        raise RuntimeError(f"{path} is damaged ({error}); fetch it again") from error
