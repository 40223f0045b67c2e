import warnings
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn
from typer.testing import CliRunner

from convnets.__main__ import app
from convnets.training import fit, load, load_folder
from convnets.training.batches import Batches
from convnets.training.data.image_folder import FolderDataset
from convnets.training.evaluation import loss_and_accuracy
from convnets.training.recipes import RECIPES

SIDE = 16
CLASSES = ("bag", "coat")


@pytest.fixture
def folder(tmp_path) -> Path:
    """Forty training and twelve test images of Fashion-MNIST as colour JPEGs, two classes."""
    images = load()
    wanted = [images.classes.index(name) for name in ("Bag", "Coat")]
    for part, split, count in (("train", images.train, 20), ("val", images.test, 6)):
        for name, label in zip(CLASSES, wanted, strict=True):
            (tmp_path / part / name).mkdir(parents=True)
            for number, image in enumerate(split.images[split.labels == label][:count]):
                picture = Image.fromarray(image[0].numpy()).convert("RGB")
                picture.save(tmp_path / part / name / f"{number:02}.jpg")
    return tmp_path


class Small(nn.Module):
    """Two layers, enough to tell bags from coats: (N, 3, H, W) -> (N, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.conv(x).relu().mean(dim=(2, 3)))


def batches(dataset: FolderDataset, seed=None, workers=0, size=8) -> Batches:
    return Batches(dataset.train, dataset, Small(), torch.device("cpu"), size, seed, workers)


def corrupt(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:300])
    return path


def test_a_folder_is_indexed_by_class_and_stays_on_disk(folder):
    dataset = load_folder(folder, image_size=SIDE)
    assert dataset.classes == CLASSES
    assert (len(dataset.train), len(dataset.test), dataset.in_channels) == (40, 12, 3)
    image = dataset.train.image(0)
    assert image is not None
    assert (image.shape, image.dtype) == ((3, SIDE, SIDE), torch.uint8)


def test_a_batch_does_not_depend_on_the_number_of_workers(folder):
    dataset = load_folder(folder, image_size=SIDE)
    alone = list(batches(dataset, seed=1).epoch(3))
    shared = list(batches(dataset, seed=1, workers=2).epoch(3))
    for (images, labels), (others, their_labels) in zip(alone, shared, strict=True):
        assert torch.equal(images, others)
        assert torch.equal(labels, their_labels)


def test_each_epoch_has_a_different_order_and_different_crops(folder):
    made = batches(load_folder(folder, image_size=SIDE), seed=1, size=40)
    (first, _), (second, _) = next(made.epoch(1)), next(made.epoch(2))
    assert first.shape == second.shape == (40, 3, SIDE, SIDE)
    assert not torch.equal(first.flatten(1).sum(1).sort()[0], second.flatten(1).sum(1).sort()[0])


def test_batches_before_a_pause_are_not_read_again(folder):
    made = batches(load_folder(folder, image_size=SIDE), seed=1)
    for (rest, _), (whole, _) in zip(made.epoch(1, first=2), list(made.epoch(1))[2:], strict=True):
        assert torch.equal(rest, whole)


def test_images_are_normalised_like_imagenets(folder):
    dataset = load_folder(folder, image_size=SIDE)
    images, _ = next(batches(dataset, size=4).epoch())
    raw = torch.stack([dataset.train.image(place) for place in range(4)])
    expected = (raw / 255 - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / torch.tensor(
        [0.229, 0.224, 0.225]
    )[:, None, None]
    torch.testing.assert_close(images, expected)


def test_a_corrupt_image_stops_the_run_and_is_named(folder):
    path = corrupt(folder / "train" / "bag" / "03.jpg")
    with pytest.raises(RuntimeError, match=f"{path} cannot be read.*--on-corrupt skip"):
        list(batches(load_folder(folder, image_size=SIDE)).epoch())


def test_a_skipped_corrupt_image_is_replaced_by_the_next_one_in_training(folder):
    path = corrupt(folder / "train" / "bag" / "03.jpg")
    dataset = load_folder(folder, on_corrupt="skip", image_size=SIDE)
    with pytest.warns(UserWarning, match=str(path)):
        found = list(batches(dataset, seed=0).epoch())
    assert [len(labels) for _, labels in found] == [8] * 5


def test_a_skipped_corrupt_image_is_left_out_of_evaluation(folder):
    corrupt(folder / "train" / "bag" / "03.jpg")
    dataset = load_folder(folder, on_corrupt="skip", image_size=SIDE)
    with pytest.warns(UserWarning, match=r"03.jpg"):
        found = list(batches(dataset).epoch())
    assert sum(len(labels) for _, labels in found) == 39


def test_a_folder_of_corrupt_images_only_ends_with_an_error(folder):
    for path in (folder / "train").rglob("*.jpg"):
        corrupt(path)
    dataset = load_folder(folder, on_corrupt="skip", image_size=SIDE)
    with (
        pytest.warns(UserWarning, match="left out"),
        pytest.raises(ValueError, match="at least one image, got none"),
    ):
        loss_and_accuracy([Small()], batches(dataset))


def test_training_on_a_folder_does_not_depend_on_the_number_of_workers(folder):
    def losses(workers):
        torch.manual_seed(0)
        dataset = load_folder(folder, image_size=SIDE)
        options = {"epochs": 2, "batch_size": 9, "num_workers": workers, "device": "cpu"}
        return fit(Small(), dataset, progress=False, **options).step_losses

    assert losses(0) == losses(2)


def test_alexnets_colour_augmentation_works_on_a_folder(folder):
    torch.manual_seed(0)
    recipe = "alexnet"
    assert "pca-colour" in RECIPES[recipe].augmentation
    record = fit(
        Small(),
        load_folder(folder, image_size=SIDE),
        recipe,
        epochs=1,
        batch_size=12,
        device="cpu",
        progress=False,
    )
    assert len(record.step_losses) == 3


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda root: (root / "train").rename(root / "training"), "needs the folders train and"),
        (lambda root: (root / "val").rename(root / "other"), "needs the folders train and"),
        (lambda root: (root / "val" / "bag").rename(root / "val" / "sack"), "bag, sack"),
        (lambda root: (root / "train" / "hat").mkdir(), "hat.*Put images there"),
    ],
)
def test_a_folder_that_cannot_be_used_is_explained(change, sentence, folder):
    change(folder)
    with pytest.raises(FileNotFoundError, match=sentence):
        load_folder(folder)


def test_the_test_split_may_be_called_test_instead_of_val(folder):
    (folder / "val").rename(folder / "test")
    assert len(load_folder(folder).test) == 12


def test_an_unknown_value_of_on_corrupt_lists_the_known_ones(folder):
    with pytest.raises(ValueError, match="stop, skip"):
        load_folder(folder, on_corrupt="repair")


def test_a_folder_without_corrupt_images_gives_no_warning(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(batches(load_folder(folder, image_size=SIDE)).epoch())


@pytest.mark.slow
def test_the_command_trains_on_a_folder_and_names_corrupt_files(folder):
    corrupt(folder / "train" / "bag" / "03.jpg")
    command = ["train", "resnet20", "--epochs", "1", "--batch-size", "8"]
    command += ["--data", "image-folder", "--data-root", str(folder), "--image-size", "32"]
    stopped = CliRunner().invoke(app, command)
    assert stopped.exit_code == 2
    assert "cannot be read" in stopped.stderr
    skipped = CliRunner().invoke(app, [*command, "--on-corrupt", "skip"])
    assert skipped.exit_code == 0, skipped.stderr
    assert "test accuracy" in skipped.stdout
