import gzip
import hashlib
import struct
from dataclasses import replace

import numpy as np
import pytest
import torch

from convnets.training import data
from convnets.training.data import fashion_mnist

# Of the decoded arrays, so that the version of zlib does not matter.
SHA256 = {
    "train_images": "4c93bd57a2d610df378e0af610314e5a52e13ea911eb305f0a89ab978d978db5",
    "train_labels": "7f93b6f0d27646bdda587232ebdf6ce5d8ee5b56a6f6bf6cef24ee62b81fa305",
    "test_images": "b02de7461d34d6e332611373b83b8c3794034a4bb194432fca81aa3684285cdd",
    "test_labels": "16c40e4ff1a20a7bef69d2b4ce85ab6a444ec42e6e8f77fbcc8b72e13387c2bd",
}


@pytest.fixture(scope="module")
def subset() -> data.Dataset:
    return data.load("fashion-mnist-small")


def write_idx(path, array, compress=False):
    header = struct.pack(">i", 0x800 + array.ndim) + struct.pack(f">{array.ndim}i", *array.shape)
    raw = header + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(raw) if compress else raw)


@pytest.fixture(params=[False, True], ids=["unpacked", "gz"])
def originals(tmp_path, request):
    ending = ".gz" if request.param else ""
    rng = np.random.default_rng(0)
    for prefix, count in (("train", 20), ("t10k", 10)):
        images = rng.integers(0, 256, (count, 28, 28))
        write_idx(tmp_path / f"{prefix}-images-idx3-ubyte{ending}", images, request.param)
        write_idx(
            tmp_path / f"{prefix}-labels-idx1-ubyte{ending}", np.arange(count) % 10, request.param
        )
    return tmp_path


def test_the_arrays_of_the_subset_are_those_that_were_committed():
    with np.load(data.subset_path()) as arrays:
        digests = {name: hashlib.sha256(arrays[name].tobytes()).hexdigest() for name in arrays}
    assert digests == SHA256


def test_the_file_of_the_subset_stays_small():
    assert data.subset_path().stat().st_size <= 6e6


def test_the_subset_has_equally_many_images_of_each_class(subset):
    assert torch.bincount(subset.train.labels).tolist() == [1000] * 10
    assert torch.bincount(subset.test.labels).tolist() == [200] * 10
    assert subset.train.images.shape == (10_000, 1, 28, 28)
    assert subset.train.images.dtype == torch.uint8


def test_the_full_set_is_read_from_a_folder_of_original_files(originals):
    dataset = data.load("fashion-mnist", root=originals)
    assert dataset.train.images.shape == (20, 1, 28, 28)
    assert dataset.test.labels.tolist() == list(range(10))


def test_statistics_are_on_the_scale_from_0_to_1(subset):
    pixels = subset.train.images.double() / 255
    assert subset.mean == pytest.approx(pixels.mean().item())
    assert subset.std == pytest.approx(pixels.std().item())


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(
        ValueError, match=r"unknown data set 'mnist'; choose one of fashion-mnist-small"
    ):
        data.load("mnist")


def test_a_missing_file_is_named_and_the_message_says_what_to_do(originals):
    next(originals.glob("t10k-labels*")).unlink()
    with pytest.raises(FileNotFoundError, match=r"t10k-labels.*name the folder"):
        data.load("fashion-mnist", root=originals)


@pytest.mark.parametrize("keep", [0, 3, 100])
def test_a_damaged_original_is_named_and_the_message_says_what_to_do(originals, keep):
    path = next(originals.glob("train-images*"))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(RuntimeError, match=r"damaged.*download it again"):
        data.load("fashion-mnist", root=originals)


def test_labels_that_do_not_match_the_images_are_noticed(originals):
    path = next(originals.glob("train-labels*"))
    write_idx(path, np.zeros(7), compress=path.suffix == ".gz")
    with pytest.raises(RuntimeError, match="20 train images but 7 labels"):
        data.load("fashion-mnist", root=originals)


@pytest.mark.parametrize("content", [b"", b"PK", None], ids=["empty", "not a zip file", "cut"])
def test_a_damaged_subset_is_named_and_the_message_says_what_to_do(tmp_path, monkeypatch, content):
    broken = tmp_path / fashion_mnist.SUBSET_FILE
    original = data.subset_path().read_bytes()
    broken.write_bytes(original[: len(original) // 2] if content is None else content)
    monkeypatch.setattr(fashion_mnist, "subset_path", lambda: broken)
    with pytest.raises(RuntimeError, match=r"damaged.*git checkout"):
        data.load("fashion-mnist-small")


def test_a_missing_subset_is_named_and_the_message_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(
        fashion_mnist,
        "__file__",
        str(tmp_path / "src" / "convnets" / "training" / "data" / "fashion_mnist.py"),
    )
    with pytest.raises(FileNotFoundError, match="git checkout"):
        data.load("fashion-mnist-small")


def test_a_failed_download_names_the_alternatives(monkeypatch, tmp_path):
    import torchvision.datasets

    def fail(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "nothing")
    monkeypatch.setattr(torchvision.datasets, "FashionMNIST", fail)
    with pytest.raises(FileNotFoundError, match=r"dataset-fashion-mnist.*--data-root"):
        data.load("fashion-mnist")


def test_mean_and_deviation_of_all_pixels_are_computed_once():
    subset = data.load("fashion-mnist-small")
    assert subset.mean is subset.mean
    assert subset.std is subset.std
    darker = replace(subset, train=data.Split(subset.train.images // 2, subset.train.labels))
    assert darker.mean < subset.mean
