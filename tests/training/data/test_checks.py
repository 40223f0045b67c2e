"""Data that cannot be right are refused before the first step."""

from dataclasses import replace
from itertools import permutations

import pytest
import torch
from torch import nn

from convnets.training import evaluate, fit, load
from convnets.training.data import Dataset, FolderDataset, FolderSplit, Split


class Untouched(nn.Module):
    """A network that must not be trained."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 28)

    def forward(self, x):
        assert not self.training
        return self.conv(x).flatten(1)


@pytest.fixture(scope="module")
def good() -> Dataset:
    full = load("fashion-mnist-small")
    train = Split(full.train.images[:40], full.train.labels[:40])
    test = Split(full.test.images[:20], full.test.labels[:20])
    return replace(full, name="garments", train=train, test=test)


def train(data, net="lenet5", **options):
    options = {"epochs": 1, "batch_size": 8, "device": "cpu", "progress": False} | options
    return fit(net, data, "plain-sgd", **options)


def with_first(labels: torch.Tensor, value: float) -> torch.Tensor:
    return torch.cat([torch.tensor([value]).to(labels), labels[1:]])


LABELS = {
    "-1": (lambda y: with_first(y, -1), "run from -1 to 9, but its classes are numbered from 0"),
    "-100": (lambda y: with_first(y, -100), "run from -100 to 9.*correct them"),
    "1 to 10": (lambda y: torch.arange(len(y)) % 10 + 1, "run from 1 to 10.*0 to 9; subtract 1"),
    "one too large": (lambda y: with_first(y, 10), r"run from \d to 10"),
    "floats": (lambda y: y.float(), r"whole numbers, got torch.float32; .*\.long\(\)"),
    "a column": (lambda y: y[:, None], r"got the shape \(\d+, 1\); .*\.flatten\(\)"),
    "one-hot": (lambda y: nn.functional.one_hot(y % 10, 10), r"\(\d+, 10\).*\.argmax\(dim=1\)"),
    "one-hot floats": (lambda y: nn.functional.one_hot(y, 10).float(), r"argmax\(dim=1\)"),
    "a list": (lambda y: y.tolist(), "got list; convert them with torch.as_tensor"),
    "too few": (lambda y: y[:-3], "but (37|17) labels; each image needs one"),
    "too many": (lambda y: torch.cat([y, y[:2]]), "but (42|22) labels; each image needs one"),
    "none": (lambda y: y[:0], "but 0 labels; each image needs one"),
}
IMAGES = {
    "none": (lambda x: x[:0], "there are no {part} images of garments"),
    "without a channel": (lambda x: x[:, 0], r"shape \(N, C, H, W\), got .*\.unsqueeze\(1\)"),
    "one image": (lambda x: x[0, 0], r"shape \(N, C, H, W\), got \(28, 28\)"),
    "without pixels": (lambda x: x[:, :, :0], r"shape \(N, C, H, W\)"),
    "an array": (lambda x: x.numpy(), "got ndarray; convert them with torch.as_tensor"),
    "channels last": (lambda x: x.permute(0, 2, 3, 1), r"channels last.*\.permute\(0, 3, 1, 2\)"),
    "colours last": (lambda x: x.permute(0, 2, 3, 1).repeat(1, 1, 1, 3), "channels last"),
    "not a number": (lambda x: torch.where(x == x[0, 0, 14, 14], torch.nan, x), "not a number"),
    "infinite": (lambda x: torch.where(x == x.max(), torch.inf, x / 255), "pixels .* infinite"),
    "minus infinite": (lambda x: torch.where(x == 0, -torch.inf, x / 255), "pixels .* infinite"),
    "infinite in float32": (lambda x: x.double() * 1e300, "pixels .* infinite"),
    "complex": (lambda x: x.to(torch.complex64), "complex; give real numbers"),
}


def changed(data: Dataset, part: str, **changes) -> Dataset:
    name = {"training": "train", "test": "test"}[part]
    return replace(data, **{name: replace(getattr(data, name), **changes)})


@pytest.mark.parametrize("part", ["training", "test"])
@pytest.mark.parametrize("kind", LABELS)
def test_labels_that_cannot_be_right_are_refused(good, kind, part):
    change, sentence = LABELS[kind]
    split = good.train if part == "training" else good.test
    data = changed(good, part, labels=change(split.labels))
    with pytest.raises(ValueError, match=sentence) as caught:
        train(data, Untouched())
    assert f"{part} " in str(caught.value)
    assert "garments" in str(caught.value)


@pytest.mark.parametrize("part", ["training", "test"])
@pytest.mark.parametrize("kind", IMAGES)
def test_images_that_cannot_be_right_are_refused(good, kind, part):
    change, sentence = IMAGES[kind]
    split = good.train if part == "training" else good.test
    data = changed(good, part, images=change(split.images))
    with pytest.raises(ValueError, match=sentence.format(part=part)):
        train(data, Untouched())


@pytest.mark.parametrize("kind", ["-1", "1 to 10", "floats", "a column", "too few"])
def test_accuracy_is_not_measured_with_such_labels(good, kind):
    change, sentence = LABELS[kind]
    with pytest.raises(ValueError, match=sentence):
        evaluate(Untouched(), changed(good, "test", labels=change(good.test.labels)), "cpu")


@pytest.mark.parametrize("kind", ["none", "channels last", "not a number"])
def test_accuracy_is_not_measured_on_such_images(good, kind):
    change, sentence = IMAGES[kind]
    with pytest.raises(ValueError, match=sentence.format(part="test")):
        evaluate(Untouched(), changed(good, "test", images=change(good.test.images)), "cpu")


def test_a_registered_network_is_not_built_for_channels_last(good):
    last = good.train.images.permute(0, 2, 3, 1)
    with pytest.raises(ValueError, match="channels last"):
        train(changed(good, "training", images=last))


@pytest.mark.parametrize("channel", [0, 2])
@pytest.mark.parametrize("value", [0, 7, 255])
def test_a_constant_channel_is_named(good, channel, value):
    def colour(split):
        images = split.images.repeat(1, 3, 1, 1)
        images[:, channel] = value
        return replace(split, images=images)

    data = replace(good, train=colour(good.train), test=colour(good.test))
    sentence = f"channel {channel} of the training images of garments is constant.*{value}"
    with pytest.raises(ValueError, match=sentence):
        train(data, "resnet20")
    with pytest.raises(ValueError, match=sentence):
        evaluate(nn.Conv2d(3, 10, 28), data, "cpu")


def test_a_constant_channel_of_floats_is_named_though_its_deviation_is_not_quite_0(good):
    images = torch.full((40, 1, 28, 28), 0.1)
    with pytest.raises(ValueError, match=r"channel 0 .* is constant"):
        train(changed(good, "training", images=images))


@pytest.mark.parametrize("count", [1, 5])
def test_too_few_training_images_for_a_validation_split_are_refused(good, count):
    few = replace(good, train=good.train.subset(torch.arange(count)))
    with pytest.raises(ValueError, match=rf"has {count} training images?, too few.* at least 6"):
        train(few, batch_size=1)


def test_the_fewest_images_that_can_be_split_are_enough(good):
    few = replace(good, train=good.train.subset(torch.arange(6)))
    assert len(train(few, batch_size=1).step_losses) == 5


def test_another_number_of_channels_in_the_test_images_is_refused(good):
    colour = changed(good, "test", images=good.test.images.repeat(1, 3, 1, 1))
    with pytest.raises(ValueError, match="have 1 channel, its test images 3"):
        train(colour)


SCALES = {
    "0 to 1": lambda x: x / 255,
    "-1 to 1": lambda x: x / 127.5 - 1,
    "normalised": lambda x: (x / 255 - 0.286) / 0.353,
    "0 to 255": lambda x: x,
    "0 to 255 as floats": lambda x: x.float(),
    "16 bits": lambda x: (x.int() * 257).to(torch.uint16),
}
SAME_SCALE = [{"0 to 255", "0 to 255 as floats"}, {"-1 to 1", "normalised"}]


@pytest.mark.parametrize(
    ("training", "test"),
    [pair for pair in permutations(SCALES, 2) if set(pair) not in SAME_SCALE],
)
def test_another_scale_of_the_test_images_is_refused(good, training, test):
    data = changed(good, "training", images=SCALES[training](good.train.images))
    data = changed(data, "test", images=SCALES[test](good.test.images))
    sentence = "pixels of the test images of garments have another scale than .* training images"
    with pytest.raises(ValueError, match=sentence):
        train(data, Untouched())
    with pytest.raises(ValueError, match=sentence):
        evaluate(Untouched(), data, "cpu")


def test_a_folder_with_labels_outside_its_classes_is_refused(tmp_path):
    split = FolderSplit((tmp_path / "a.jpg",) * 9, torch.arange(9) % 3, 16, "stop")
    data = FolderDataset("folder", split, split, ("bag", "coat"), str(tmp_path))
    with pytest.raises(ValueError, match="training labels of folder run from 0 to 2"):
        train(data, nn.Conv2d(3, 2, 16))
    few = replace(data, train=replace(split, labels=split.labels % 2, paths=split.paths[:4]))
    with pytest.raises(ValueError, match="4 training images of folder, but 9 labels"):
        train(few, nn.Conv2d(3, 2, 16))


def test_what_is_not_a_data_set_is_refused(good):
    with pytest.raises(ValueError, match=r"name of a data set or what load .* got tuple"):
        train((good.train, good.test))


FINE = {
    "floats from 0 to 1": lambda data: scaled(data, lambda x: x / 255),
    "normalised floats": lambda data: scaled(data, lambda x: (x / 255 - 0.3) / 0.3),
    "half precision": lambda data: scaled(data, lambda x: (x / 255).half()),
    "16 bits": lambda data: scaled(data, lambda x: x.to(torch.uint16)),
    "black and white": lambda data: scaled(data, lambda x: x > 127),
    "labels of 8 bits": lambda data: relabelled(data, torch.uint8),
    "labels of 32 bits": lambda data: relabelled(data, torch.int32),
    "no names of classes": lambda data: replace(data, classes=()),
    "dark test images": lambda data: changed(data, "test", images=data.test.images // 64),
    "dark test images as floats": lambda data: scaled(
        changed(data, "test", images=data.test.images // 64), lambda x: x / 255
    ),
    "bright test images, normalised": lambda data: scaled(
        changed(data, "test", images=data.test.images // 4 + 180), lambda x: x / 127.5 - 1
    ),
    "test images as floats": lambda data: changed(data, "test", images=data.test.images.float()),
    "one black test image": lambda data: changed(
        data, "test", images=torch.zeros(1, 1, 28, 28), labels=torch.zeros(1, dtype=torch.int64)
    ),
}


def scaled(data: Dataset, change) -> Dataset:
    train, test = (replace(part, images=change(part.images)) for part in (data.train, data.test))
    return replace(data, train=train, test=test)


def relabelled(data: Dataset, dtype: torch.dtype) -> Dataset:
    train, test = (replace(part, labels=part.labels.to(dtype)) for part in (data.train, data.test))
    return replace(data, train=train, test=test)


@pytest.mark.parametrize("kind", FINE)
def test_unusual_data_that_are_right_are_trained_on(good, kind):
    data = FINE[kind](good)
    record = train(data, nn.Sequential(nn.Conv2d(1, 10, 28), nn.Flatten()))
    assert torch.tensor(record.step_losses).isfinite().all()
    assert evaluate(record.net, data, "cpu") == pytest.approx(record.test_accuracy, abs=0.1)


@pytest.mark.parametrize(
    ("net", "sentence"),
    [
        (nn.Conv2d(1, 10, 28), r"into scores \(N, classes\), got \(2, 10, 1, 1\) for two images"),
        (nn.Sequential(nn.Flatten(), nn.Linear(784, 9)), "scores for 9 classes.*num_classes=10"),
        (nn.Sequential(nn.Flatten(), nn.Linear(784, 1)), "scores for 1 class, .*num_classes=10"),
    ],
)
def test_accuracy_is_not_measured_without_a_score_for_each_class(good, net, sentence):
    enough = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    for nets in (net, [net, enough], [enough, net]):
        with pytest.raises(ValueError, match=sentence):
            evaluate(nets, good, "cpu")
    assert net.training


def test_an_ensemble_of_networks_with_other_classes_is_refused(good):
    nets = [nn.Sequential(nn.Flatten(), nn.Linear(784, classes)) for classes in (10, 12)]
    with pytest.raises(ValueError, match=r"same classes, got scores for 10 and 12 classes"):
        evaluate(nets, good, "cpu")
    assert 0 <= evaluate(nets[1], good, "cpu") <= 1


def test_narrow_images_are_not_taken_for_channels_last_by_a_network_made_for_them(good):
    images = torch.randint(256, (40, 8, 16, 2), dtype=torch.uint8)
    split = Split(images, good.train.labels)
    data = replace(good, train=split, test=split)
    net = nn.Sequential(nn.Conv2d(8, 10, (16, 2)), nn.Flatten())
    assert len(train(data, net).step_losses) == 4


def test_labels_of_32_bits_give_the_same_run(good):
    def losses(data):
        torch.manual_seed(0)
        return train(data, nn.Sequential(nn.Flatten(), nn.Linear(784, 10))).step_losses

    assert losses(relabelled(good, torch.int32)) == losses(good)


@pytest.mark.parametrize(
    ("net", "sentence"),
    [
        (nn.Conv2d(1, 10, 28), r"into scores \(N, classes\), got \(2, 10, 1, 1\)"),
        (nn.Sequential(nn.Flatten(), nn.Linear(784, 5)), "scores for 5 classes.*num_classes=10"),
    ],
)
def test_a_network_without_a_score_for_each_class_is_refused(good, net, sentence):
    net.train()
    with pytest.raises(ValueError, match=sentence):
        train(good, net)
