"""Nothing in a training step reads a number or leaves a tensor on the CPU.

The steps run on the meta device, so that this is known on machines without a GPU as well.
"""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

import convnets
from convnets.layers import conv_norm_act
from convnets.models.googlenet import GoogLeNet
from convnets.training import Recipe, RunRecord, fit, load
from convnets.training.augmentation import AUGMENTATIONS
from convnets.training.data import Dataset, Split
from convnets.training.engine import make_accelerator
from convnets.training.trainer import Trainer
from tests.conftest import lightest_of_each_family
from tests.meta_device import META, CrossingError, crossings_refused

ALL = Recipe(
    epochs=2,
    batch_size=16,
    learning_rate=0.1,
    weight_decay=1e-4,
    label_smoothing=0.1,
    schedule="one-cycle",
    augmentation=tuple(AUGMENTATIONS),
    clip_norm=1.0,
    average=0.99,
)
"""Every part that a step can have; a GoogLeNet has auxiliary classifiers, too."""


@pytest.fixture(scope="module")
def few() -> Dataset:
    full = load("fashion-mnist-small")
    train = Split(full.train.images[:64], full.train.labels[:64])
    return replace(full, train=train, test=Split(full.test.images[:40], full.test.labels[:40]))


def all_parts(net: nn.Module) -> Recipe:
    return replace(ALL, auxiliaries=isinstance(net, GoogLeNet))


def small(extra: nn.Module) -> nn.Module:
    """A network that ends in `extra`, (N, 10) -> (N, 10)."""
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(conv_norm_act(1, 4, 3), pool, nn.Linear(4, 10), extra)


def steps(net: nn.Module, data: Dataset, recipe: Recipe = ALL, parts: int = 1) -> Trainer:
    """The trainer after two steps on the meta device; preparing it may copy tensors there."""
    from convnets.training import engine

    record = RunRecord(net, recipe, data.name, 0, "meta", "no")
    trainer = Trainer(record, data, engine.make_accelerator(META, None), accumulation_steps=parts)
    trainer.model.train()
    with crossings_refused():
        for _, (images, labels) in zip(range(2), trainer.train_batches.epoch(1), strict=False):
            trainer.train_step(images, labels)
    return trainer


@pytest.mark.slow
@pytest.mark.parametrize("name", lightest_of_each_family())
def test_a_step_of_every_family_stays_on_the_device(name, few, meta_machine):
    with torch.device("meta"):
        net = convnets.create_model(name, 10, 1, small_input=True)
    trainer = steps(net, few, all_parts(net))
    assert len(trainer.step_metrics) == 2
    tensors = [*trainer.step_metrics, *trainer.learner.parameters(), *trainer.ema.parameters()]
    assert all(tensor.is_meta for tensor in tensors)


@pytest.mark.parametrize("optimizer", ["sgd", "nesterov", "rmsprop"])
@pytest.mark.parametrize("parts", [1, 2])
def test_a_step_of_every_optimizer_stays_on_the_device(optimizer, parts, few, meta_machine):
    steps(small(nn.Dropout(0.5)), few, replace(ALL, optimizer=optimizer), parts)


class Faulty(nn.Module):
    """Does something that would make a GPU wait."""

    def __init__(self, fault) -> None:
        super().__init__()
        self.fault = fault

    def forward(self, x: Tensor) -> Tensor:
        return self.fault(x)


FAULTS = {
    "a number read": lambda x: x * x.mean().item(),
    "a truth value": lambda x: x if x.sum() > 0 else -x,
    "numbers as a list": lambda x: x * x.sum(1).tolist()[0],
    "a copy to the CPU": lambda x: x.cpu().to(x.device),
    "an indexed selection": lambda x: x + x[x > 0].sum(),
    "a tensor made on the CPU": lambda x: x + torch.ones(10),
    "a scalar made on the CPU": lambda x: x * torch.tensor(2.0),
    "weights on the CPU": lambda x: nn.functional.linear(x, torch.ones(10, 10)),
    "indices on the CPU": lambda x: x[:, torch.arange(10)],
    "random numbers from the CPU": lambda x: x + torch.randn(10).to(x),
    "numbers copied to the device": lambda x: x * torch.tensor([2.0], device=x.device),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_faulty_step_is_found(fault, few, meta_machine):
    with pytest.raises((CrossingError, RuntimeError, NotImplementedError)):
        steps(small(Faulty(fault)), few)


@pytest.mark.parametrize(("net", "average"), [("lenet5", None), ("resnet20", 0.99)])
def test_a_whole_run_crosses_in_the_two_named_places_only(net, average, few, refusing_trainer):
    record = fit(net, few, replace(ALL, average=average), progress=False)
    assert len(record.step_losses) == 2 * (58 // 16)
    assert [epoch.validation_accuracy for epoch in record.epochs] == [1.0, 1.0]  # from `to_cpu`
    assert all(parameter.is_meta for parameter in record.net.parameters())


@pytest.mark.parametrize("names", [(name,) for name in AUGMENTATIONS] + [tuple(AUGMENTATIONS)])
def test_augmented_images_reach_the_network_in_channels_last(names, few):
    colour = Split(few.train.images.expand(-1, 3, -1, -1), few.train.labels)
    data = replace(few, train=colour)
    net = convnets.create_model("resnet20", 10, 3)
    recipe = replace(ALL, augmentation=names)
    record = RunRecord(net, recipe, few.name, 0, "cpu", "no")
    trainer = Trainer(record, data, make_accelerator("cpu", "no"))
    seen = []
    net.register_forward_pre_hook(
        lambda module, inputs: seen.append(
            inputs[0].is_contiguous(memory_format=torch.channels_last)
        )
    )
    trainer.train_step(*next(trainer.train_batches.epoch(1)))
    assert seen == [True]


def test_the_averaged_weights_are_those_of_the_formula(few):
    from convnets.training.recipes import MovingAverage

    net = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    ema, values = MovingAverage(net, 0.3), [1.0, 5.0, -2.0]
    for value in values:
        nn.init.constant_(net[0].weight, value)
        net[1].num_batches_tracked += 1
        ema.update_parameters(net)
    expected = values[0]
    for step, value in enumerate(values[1:], start=1):
        decay = min(0.3, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    assert ema.module[0].weight.item() == pytest.approx(expected)
    assert ema.module[1].num_batches_tracked == 3
    assert ema.n_averaged == 3
