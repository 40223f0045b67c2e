"""Make `fashion_mnist_small.npz`, a class-balanced subset of Fashion-MNIST.

    python data/make_subset.py --root FOLDER

FOLDER has the four original idx files, compressed (.gz) or not.

The subset has 10,000 of the 60,000 training images and 2,000 of the 10,000 test images, the same
number from each class. They are drawn with a fixed seed and keep their original order. The bytes of
the file depend on the version of zlib that compresses it, so the test compares the SHA-256 of the
decoded arrays.
"""

import argparse
from pathlib import Path

import numpy as np

from convnets.training.data import CLASSES, read_original

SEED = 2012
SIZES = {"train": 10_000, "test": 2_000}
TARGET = Path(__file__).with_name("fashion_mnist_small.npz")


def balanced(labels: np.ndarray, total: int, generator: np.random.Generator) -> np.ndarray:
    """Draw the same number of samples from each class.

    Args:
        labels: class of each sample, (N,).
        total: number of samples to draw; a multiple of the number of classes.
        generator: source of randomness.

    Returns:
        Indices of the samples, (total,), in their original order.
    """
    per_class = total // len(CLASSES)
    chosen = [
        generator.choice(np.flatnonzero(labels == label), per_class, replace=False)
        for label in range(len(CLASSES))
    ]
    return np.sort(np.concatenate(chosen))


def main() -> None:
    """Write the subset beside this script."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--root", type=Path, required=True, help="folder with the original idx files"
    )
    root = parser.parse_args().root
    generator = np.random.default_rng(SEED)
    arrays = {}
    for split, total in SIZES.items():
        images, labels = read_original(root, split)
        keep = balanced(labels, total, generator)
        arrays[f"{split}_images"], arrays[f"{split}_labels"] = images[keep], labels[keep]
    np.savez_compressed(TARGET, **arrays)
    print(f"{TARGET}: {TARGET.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
