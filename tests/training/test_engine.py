import json
import math
import re
from dataclasses import replace

import pytest
import torch
from torch import nn

import convnets
from convnets.models.densenet import CONFIGS, DenseNet
from convnets.training import Recipe, evaluate, fit, load
from convnets.training.data import Dataset, Split
from convnets.training.trainer import random_split


@pytest.fixture(scope="module")
def few() -> Dataset:
    """The first images of the subset: enough to learn something in seconds."""
    full = load("fashion-mnist-small")
    train = Split(full.train.images[:640], full.train.labels[:640])
    test = Split(full.test.images[:200], full.test.labels[:200])
    return replace(full, train=train, test=test)


def fitted(net, data, **options):
    return fit(net, data, device="cpu", progress=False, **options)


@pytest.mark.slow
def test_a_residual_network_learns_real_images():
    full = load("fashion-mnist-small")
    some = replace(full, train=full.train.subset(torch.arange(2400)))
    record = fitted("resnet20", some, epochs=1, batch_size=32)
    assert record.test_accuracy > 0.4


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        *("lenet5", "plain20", "resnet20", "wide_resnet16_4"),
        *("alexnet", "mobilenet_v2", "shufflenet_v2_x0_5"),
    ],
)
def test_networks_for_small_and_for_large_images_train(name, few):
    two_steps = replace(
        few, train=few.train.subset(torch.arange(18)), test=few.test.subset(torch.arange(20))
    )
    record = fitted(name, two_steps, epochs=1, batch_size=8)
    assert len(record.step_losses) == 2
    assert all(math.isfinite(loss) for loss in record.step_losses)
    assert 0 <= record.test_accuracy <= 1


def test_the_same_seed_gives_the_same_run(few):
    first, second = (fitted("lenet5", few, epochs=2, seed=3) for _ in range(2))
    assert first.step_losses == second.step_losses
    assert first.test_accuracy == second.test_accuracy


def test_another_seed_gives_another_run(few):
    first, second = (fitted("lenet5", few, epochs=1, seed=seed) for seed in (0, 1))
    assert first.step_losses != second.step_losses


def test_the_callers_random_state_is_unchanged(few):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fitted("lenet5", few, epochs=1)
    assert torch.equal(torch.rand(3), expected)


def test_a_network_is_trained_in_place_and_evaluates_to_its_recorded_accuracy(few):
    net = convnets.create_model("lenet5", 10, 1)
    before = net.features.c1.weight.clone()
    record = fitted(net, few, epochs=1)
    assert record.net is net
    assert not torch.equal(net.features.c1.weight, before)
    assert evaluate(net, few, device="cpu") == pytest.approx(record.test_accuracy, abs=0.02)


def test_evaluation_leaves_the_networks_mode_unchanged(few):
    net = convnets.create_model("resnet20", 10, 1).train()
    evaluate(net, few, device="cpu")
    assert net.training


def test_the_record_is_written_to_the_output_dir(few, tmp_path):
    record = fitted("lenet5", few, epochs=2, output_dir=tmp_path / "run")
    written = json.loads((tmp_path / "run" / "history.json").read_text())
    assert written["test_accuracy"] == record.test_accuracy
    assert [epoch["number"] for epoch in written["epochs"]] == [1, 2]
    assert written["recipe"]["epochs"] == 2


def test_a_loss_that_is_not_finite_stops_the_run_and_says_what_to_change(few):
    diverging = Recipe(epochs=2, batch_size=64, learning_rate=1e12)
    with pytest.raises(FloatingPointError, match="lower the learning rate"):
        fitted("plain20", few, recipe=diverging)


def test_unknown_recipes_and_runs_without_epochs_are_refused(few):
    with pytest.raises(ValueError, match=r"unknown recipe 'best'; choose one of modern"):
        fitted("lenet5", few, recipe="best")
    with pytest.raises(ValueError, match="at least one epoch, got 0"):
        fitted("lenet5", few, epochs=0)


def test_a_mismatch_of_channels_is_explained(few):
    with pytest.raises(ValueError, match="in_channels=1"):
        fitted(convnets.create_model("resnet20", 10, 3), few, epochs=1)


def test_any_module_can_be_trained(few):
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 26 * 26, 10))
    assert fitted(net, few, epochs=1, recipe="plain-sgd").step_losses


def test_changed_strides_for_small_images_are_announced_in_one_line(few, capsys):
    two_steps = replace(few, train=few.train.subset(torch.arange(18)))
    fitted("shufflenet_v2_x0_5", two_steps, epochs=1, recipe="plain-sgd", batch_size=8)
    assert capsys.readouterr().out.splitlines() == [
        "shufflenet_v2_x0_5 was made for images of 224x224 pixels; for the 28x28 pixels of "
        "fashion-mnist-small, its first strides are set to 1."
    ]


def test_nothing_is_printed_where_the_strides_stay(few, capsys):
    fitted("lenet5", few, epochs=1)  # made for small images
    fitted(nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), few, epochs=1)  # not changed by fit
    assert capsys.readouterr().out == ""


def test_the_held_out_images_are_not_trained_on():
    split = Split(torch.arange(100).view(100, 1, 1, 1), torch.arange(100))
    first, second = random_split(split, 0.1, seed=0)
    assert len(second) == 10
    assert set(first.labels.tolist()) | set(second.labels.tolist()) == set(range(100))
    assert torch.equal(first.images.flatten(), first.labels)


def test_the_output_dir_documents_the_run(few, tmp_path):
    fitted("lenet5", few, epochs=2, output_dir=tmp_path, seed=7)
    config = json.loads((tmp_path / "config.json").read_text())
    assert (config["network"], config["data"], config["seed"]) == ("lenet5", few.name, 7)
    assert config["torch"] == torch.__version__
    assert config["recipe"]["epochs"] == 2
    rows = (tmp_path / "history.csv").read_text().splitlines()
    assert rows[0] == (
        "epoch,train_loss,train_accuracy,validation_loss,validation_accuracy,seconds"
    )
    assert len(rows) == 3
    assert (tmp_path / "history.png").read_bytes().startswith(b"\x89PNG")
    again = convnets.create_model("lenet5", 10, 1)
    again.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))


def test_tensorboard_shows_the_record(few, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    record = fitted("lenet5", few, epochs=2, output_dir=tmp_path)
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    losses = board.Scalars("training loss")
    assert [loss.step for loss in losses] == list(range(len(record.step_losses)))
    assert [loss.value for loss in losses] == pytest.approx(record.step_losses)
    shares = [accuracy.value for accuracy in board.Scalars("validation accuracy")]
    assert shares == pytest.approx([epoch.validation_accuracy for epoch in record.epochs])


def test_the_network_is_left_as_a_plain_module_with_the_averaged_weights(few):
    recipe = Recipe(epochs=1, batch_size=64, learning_rate=0.05, average=0.5, clip_norm=1.0)
    net = convnets.create_model("lenet5", 10, 1)
    record = fitted(net, few, recipe=recipe)
    assert record.net is net
    assert "forward" not in vars(net)
    assert evaluate(net, few, "cpu") == pytest.approx(record.test_accuracy, abs=0.02)


def test_gradients_are_clipped_to_the_recipes_norm(few):
    still = Recipe(epochs=1, batch_size=64, learning_rate=0.1, momentum=0, clip_norm=1e-9)
    net = convnets.create_model("lenet5", 10, 1)
    before = net.features.c1.weight.clone()
    fitted(net, few, recipe=still)
    torch.testing.assert_close(net.features.c1.weight, before, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_a_googlenet_learns_with_its_auxiliary_classifiers(few):
    recipe = Recipe(epochs=1, batch_size=4, learning_rate=0.01, auxiliaries=True)
    tiny = replace(
        few, train=few.train.subset(torch.arange(6)), test=few.test.subset(torch.arange(10))
    )
    alone = fitted("googlenet_bn", tiny, recipe=replace(recipe, auxiliaries=False))
    helped = fitted("googlenet_bn", tiny, recipe=recipe)
    assert helped.step_losses[0] > 1.4 * alone.step_losses[0]  # 1 + 2 * 0.3 losses of about ln 10
    assert helped.net.state_dict().keys() == alone.net.state_dict().keys()


def test_bfloat16_gives_nearly_the_same_losses(few):
    full, half = (fitted("lenet5", few, epochs=1, precision=p) for p in ("no", "bf16"))
    assert half.precision == "bf16"
    assert half.step_losses == pytest.approx(full.step_losses, abs=0.1)


def test_bfloat16_leaves_slow_layers_in_float32_and_the_network_as_it_was(few, monkeypatch):
    monkeypatch.setattr("convnets.models.speed.has_fast_bfloat16", lambda device: True)
    large = nn.Conv2d(4, 4, 5, groups=4)
    formats = set()
    large.register_forward_hook(
        lambda layer, x, y: formats.add(y.dtype) if layer.training else None
    )
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2), large, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10)
    )
    before = [parameter.detach().clone() for parameter in net.parameters()]
    fitted(net, few, epochs=1, precision="bf16")
    assert formats == {torch.float32}
    assert type(large) is nn.Conv2d
    assert not any(map(torch.equal, net.parameters(), before))


def test_a_precision_that_the_device_does_not_support_is_refused(few):
    for precision in ("fp16", "int8"):
        with pytest.raises(ValueError, match=f"'{precision}' is not available on cpu"):
            fitted("lenet5", few, epochs=1, precision=precision)


@pytest.mark.parametrize(("name", "value"), [("optimizer", "adam"), ("schedule", "soon")])
def test_unknown_names_in_a_recipe_are_refused(few, name, value):
    recipe = replace(Recipe(epochs=1, batch_size=64, learning_rate=0.1), **{name: value})
    with pytest.raises(ValueError, match=f"unknown {name} '{value}'; choose"):
        fitted("lenet5", few, recipe=recipe)


def test_the_plateau_schedule_lowers_the_learning_rate_when_validation_stalls(few, monkeypatch):
    from convnets.training import recipes

    monkeypatch.setattr(recipes, "PLATEAU_PATIENCE", 0)
    recipe = Recipe(epochs=4, batch_size=288, learning_rate=1e-6, schedule="plateau")
    rates = []
    step = torch.optim.SGD.step

    def recording(self, *args, **kwargs):
        rates.append(self.param_groups[0]["lr"])
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.SGD, "step", recording)
    fitted("lenet5", few, recipe=recipe)
    assert rates[0] == 1e-6
    assert rates[-1] < 1e-6


def test_a_batch_that_cannot_be_split_evenly_is_refused(few):
    with pytest.raises(ValueError, match="cannot be split into 3 equal parts"):
        fitted("lenet5", few, epochs=1, accumulation_steps=3)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        fitted("lenet5", few, epochs=1, accumulation_steps=0)


def test_saving_memory_does_not_change_what_densenet_learns(few):
    row = replace(CONFIGS["densenet40_12"], depths=(2, 2, 2))

    def losses(save_memory):
        torch.manual_seed(0)
        net = DenseNet(row, num_classes=10, in_channels=1)
        return fitted(net, few, epochs=1, save_memory=save_memory).step_losses

    assert losses(True) == losses(False)


def test_saving_memory_without_dense_layers_is_refused(few):
    with pytest.raises(ValueError, match="no dense layers"):
        fitted("lenet5", few, epochs=1, save_memory=True)


def test_the_progress_bar_shows_loss_accuracy_speed_and_time_left(few, capsys):
    fit("lenet5", few, epochs=2, device="cpu")
    bar = capsys.readouterr().err
    assert re.search(r"loss=\d\.\d+, accuracy=\d+\.\d%, validation=\d+\.\d%", bar)
    assert "images/s" in bar
    assert "<" in bar  # elapsed<left
