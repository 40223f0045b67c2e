import pickle

import numpy as np
import pytest
import torch

from convnets.training import fit, load
from convnets.training.data import cifar


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Files in CIFAR-10's own format with 20 images each; torchvision skips their checksums."""
    reader = cifar.SETS["cifar10"]
    folder = tmp_path / reader.base_folder
    folder.mkdir()
    random = np.random.default_rng(0)
    for name, _ in [*reader.train_list, *reader.test_list]:
        data = random.integers(0, 256, (20, 3 * 32 * 32), dtype=np.uint8)
        (folder / name).write_bytes(pickle.dumps({"data": data, "labels": [*range(10)] * 2}))
    names = {"label_names": ["airplane", *"bcdefghij"]}
    (folder / reader.meta["filename"]).write_bytes(pickle.dumps(names))
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda path, md5: True)
    return tmp_path


def test_cifar_is_read_as_colour_images_in_memory(root):
    dataset = load("cifar10", root)
    assert dataset.train.images.shape == (100, 3, 32, 32)
    assert dataset.test.images.shape == (20, 3, 32, 32)
    assert dataset.train.images.dtype == torch.uint8
    assert dataset.train.labels[:3].tolist() == [0, 1, 2]
    assert dataset.classes[0] == "airplane"


def test_pixels_keep_the_order_of_the_file(root):
    folder = root / cifar.SETS["cifar10"].base_folder
    raw = pickle.loads((folder / "data_batch_1").read_bytes())["data"]
    first = load("cifar10", root).train.images[0]
    assert np.array_equal(first.numpy().reshape(-1), raw[0])


def test_mean_and_standard_deviation_are_by_channel(root):
    dataset = load("cifar10", root)
    pixels = dataset.train.images.double() / 255
    torch.testing.assert_close(dataset.mean.flatten().double(), pixels.mean(dim=(0, 2, 3)))
    torch.testing.assert_close(dataset.std.flatten().double(), pixels.std(dim=(0, 2, 3)))


def test_a_network_trains_on_colour_images(root):
    record = fit(
        "resnet20", load("cifar10", root), "alexnet", epochs=1, batch_size=30, progress=False
    )
    assert len(record.step_losses) == 3


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_missing_files_say_what_to_do(name, tmp_path):
    with pytest.raises(FileNotFoundError, match=f"{name} is incomplete in .*--data-root"):
        load(name, tmp_path)


def test_a_damaged_file_says_what_to_do(root, monkeypatch):
    monkeypatch.undo()  # check the sums again: these are not the original files
    with pytest.raises(FileNotFoundError, match=r"download .* unpack it"):
        load("cifar10", root)
