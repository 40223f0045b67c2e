"""Arguments of `fit` and options of `convnets train` that cannot be honoured are refused."""

import math
import re
from dataclasses import replace

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from convnets.__main__ import app
from convnets.models.lenet import LeNet5
from convnets.training import RECIPES, Recipe, engine, evaluate, fit, load, run_folder
from convnets.training.batches import step_seed
from convnets.training.data import Dataset
from convnets.training.options import SEEDS, check_recipe

SMALL = Recipe(epochs=1, batch_size=16, learning_rate=0.05)
without_gpu = pytest.mark.skipif(torch.accelerator.is_available(), reason="has a GPU")


@pytest.fixture(scope="module")
def few() -> Dataset:
    full = load("fashion-mnist-small")
    places = torch.arange(60)
    return replace(full, train=full.train.subset(places), test=full.test.subset(places[:20]))


def train(data, net="lenet5", recipe: Recipe | str = SMALL, **options):
    return fit(net, data, recipe, progress=False, **({"device": "cpu"} | options))


def command(*options: str) -> tuple[int, str]:
    """Exit status of `convnets train lenet5` and what it prints, without boxes and line breaks."""
    result = CliRunner().invoke(app, ["train", "lenet5", *options], env={"COLUMNS": "80"})
    return result.exit_code, " ".join(re.sub("[│╭╰─╮╯]", " ", result.output).split())


ARGUMENTS = [
    ({"epochs": 0}, "at least one epoch, got 0"),
    ({"epochs": -3}, "at least one epoch, got -3"),
    ({"epochs": 1.5}, r"epochs \(--epochs\) must be a whole number, got 1.5"),
    ({"epochs": "3"}, "must be a whole number, got '3'"),
    ({"epochs": math.nan}, "must be a whole number, got nan"),
    ({"batch_size": 0}, "at least one image, got 0"),
    ({"batch_size": 2.5}, r"batch_size \(--batch-size\) must be a whole number, got 2.5"),
    ({"batch_size": 55}, "batch of 55 images is larger than the data.* 54 are left.*batch_size=54"),
    ({"recipe": replace(SMALL, batch_size=55)}, "batch of 55 images is larger than the data"),
    ({"recipe": None}, "recipe must be a Recipe or the name of one, got None"),
    ({"accumulation_steps": 0}, "at least 1, got 0"),
    ({"accumulation_steps": 1.5}, "accumulation_steps .*must be a whole number of at least 1"),
    (
        {"accumulation_steps": 3},
        "16 images cannot be split into 3 equal parts, for 1 process with 3 accumulation steps; "
        "choose a multiple of 3",
    ),
    ({"num_workers": -1}, r"num_workers \(--num-workers\) must be a whole number of at least 0"),
    ({"seed": 2**24}, "at most 16777215, got 16777216"),
    ({"seed": -(2**23) - 1}, "at least -8388608"),
    ({"seed": 0.5}, r"seed \(--seed\) must be a whole number"),
    ({"resume": True}, r"resume=True \(--resume\) needs the folder .*--output-dir"),
    ({"device": "gpu"}, "unknown device 'gpu'; choose cpu or cuda"),
    ({"device": ""}, "unknown device ''"),
    ({"device": "meta"}, "no device 'meta' on this machine"),
    ({"precision": "half"}, "precision 'half' is not available"),
    ({"net": LeNet5}, "a class needs to be called"),
    ({"net": None}, "net must be a network or a registered name, got None"),
    ({"net": nn.Flatten()}, "Flatten has no parameter to train"),
    ({"net": nn.Linear(784, 10).requires_grad_(False)}, "Linear has no parameter to train"),
]


@pytest.mark.parametrize(("arguments", "sentence"), ARGUMENTS)
def test_arguments_that_cannot_be_honoured_are_refused(few, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        train(few, **arguments)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("learning_rate", math.nan, "at least 0, and finite, got nan"),
        ("learning_rate", math.inf, "at least 0, and finite, got inf"),
        ("learning_rate", -0.1, "at least 0, and finite, got -0.1"),
        ("momentum", -1, "at least 0"),
        ("weight_decay", -1e-4, "at least 0"),
        ("label_smoothing", 1.5, "between 0 and 1, got 1.5"),
        ("clip_norm", 0, "above 0, got 0"),
        ("clip_norm", -1, "above 0, got -1"),
        ("clip_norm", math.nan, "above 0, got nan"),
        ("average", 2, "between 0 and 1, got 2"),
    ],
)
def test_numbers_in_a_recipe_that_make_no_sense_are_refused(few, name, value, sentence):
    with pytest.raises(ValueError, match=f"recipe's {name} must be {sentence}"):
        train(few, recipe=replace(SMALL, **{name: value}))


@pytest.mark.filterwarnings("ignore:the recipe's batch")
def test_every_recipe_and_every_number_at_a_limit_is_accepted(few):
    limits = replace(SMALL, learning_rate=0.0, momentum=0.0, label_smoothing=1.0, average=1.0)
    limits = replace(limits, clip_norm=math.inf)
    assert train(few, recipe=limits).step_losses
    for recipe in RECIPES.values():
        check_recipe(recipe, few, batch_size_is_default=True)


def test_auxiliary_classifiers_are_refused_for_a_network_without_them(few):
    with pytest.raises(ValueError, match=r"LeNet5 is not a GoogLeNet .* auxiliaries=False"):
        train(few, recipe=replace(SMALL, auxiliaries=True))


@pytest.mark.filterwarnings("ignore:the recipe's batch")
def test_a_recipe_for_googlenet_trains_other_networks_without_the_classifiers_and_says_so(few):
    with pytest.warns(UserWarning, match="LeNet5 is trained without the auxiliary classifiers"):
        record = train(few, recipe="googlenet", epochs=1)
    assert record.step_losses
    assert not record.recipe.auxiliaries


def test_a_batch_may_hold_all_images(few):
    assert len(train(few, batch_size=54).step_losses) == 1
    with pytest.warns(UserWarning, match="batch of 128 images .* every step takes all 54"):
        assert len(train(few, recipe="plain-sgd", epochs=1).step_losses) == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_the_first_and_the_last_seed_can_be_used_in_the_longest_run(few, seed):
    torch.Generator().manual_seed(step_seed(seed, 2**32 - 1, 255))
    assert train(few, seed=seed).step_losses


@pytest.mark.parametrize("missing", ["folder", "run"])
def test_a_run_that_was_never_started_cannot_be_resumed(few, tmp_path, missing):
    path = tmp_path / "run"
    if missing == "run":
        path.mkdir()
        (path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=f"{path} holds no run to continue"):
        train(few, output_dir=path, resume=True)
    assert [each.name for each in path.glob("*")] == ["notes.txt"] * (missing == "run")


def test_a_run_that_was_killed_before_its_first_checkpoint_can_be_resumed(few, tmp_path):
    first = train(few, output_dir=tmp_path)
    (tmp_path / run_folder.CHECKPOINT).unlink()
    assert train(few, output_dir=tmp_path, resume=True).step_losses == first.step_losses


def test_compiling_needs_a_compiler(few, monkeypatch, tmp_path):
    monkeypatch.setenv("CXX", str(tmp_path / "c++"))
    with pytest.raises(ValueError, match=r"compile=True \(--compile\) needs the C\+\+ compiler"):
        train(few, compile=True)


@without_gpu
@pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps", torch.device("cuda")])
def test_a_device_that_is_not_there_is_refused(few, device):
    sentence = f"no device '{device}' on this machine; choose cpu"
    with pytest.raises(ValueError, match=sentence):
        train(few, device=device)
    with pytest.raises(ValueError, match=sentence):
        evaluate(nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), few, device)


def test_a_gpu_of_another_number_than_there_are_is_refused(monkeypatch):
    from convnets.training.device import resolve_device

    one = torch.device("cuda")
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: one)
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)
    assert resolve_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(ValueError, match="no device 'cuda:2': this machine has 2"):
        resolve_device("cuda:2")
    with pytest.raises(ValueError, match="no device 'xpu' on this machine; choose cpu or cuda"):
        resolve_device("xpu")


@pytest.mark.parametrize("name", ["cuda:0", "cuda:1"])
def test_the_gpu_that_is_asked_for_is_taken(monkeypatch, name):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.setattr(engine, "resolve_device", torch.device)
    assert engine.make_accelerator(name, "no").device == torch.device(name)
    assert engine.make_accelerator("cpu", "no").device == torch.device("cpu")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("--epochs 0", "at least one epoch"),
        ("--batch-size -1", "at least one image"),
        ("--batch-size 9001", "9000 are left to train on"),
        ("--accumulation-steps 0", "at least 1, got 0"),
        ("--seed 99999999", "at most 16777215"),
        ("--resume", "needs the folder of the run"),
        ("--resume --output-dir {nowhere}", "holds no run to continue"),
        ("--output-dir {file}", "cannot be written to"),
        ("--output-dir {file}/run", "cannot be written to"),
        pytest.param("--device cuda", "no device 'cuda' on this machine", marks=without_gpu),
        ("--device gpu", "unknown device 'gpu'"),
        ("--precision int4", "precision 'int4' is not available"),
        ("--recipe best", "unknown recipe 'best'"),
        ("--save-memory", "no dense layers"),
        ("--data mnist", "unknown data set 'mnist'.*image-folder"),
        ("--data-root {nowhere}", "omit root .--data-root."),
        ("--data fashion-mnist --data-root {nowhere}", "name the folder"),
        ("--image-size 64", "--image-size is an option of --data image-folder"),
        ("--image-size 224", "--image-size is an option of --data image-folder"),
        ("--on-corrupt skip", "--on-corrupt is an option of --data image-folder"),
        ("--num-workers 2", "--num-workers is an option of --data image-folder"),
        ("--data image-folder", "needs --data-root"),
        ("--data image-folder --data-root {nowhere}", "needs the folders train and val"),
        ("--data image-folder --data-root {nowhere} --image-size 0", "whole number of at least 1"),
        ("--data image-folder --data-root {nowhere} --on-corrupt mend", "choose one of stop, skip"),
    ],
)
def test_the_command_answers_in_one_sentence(options, sentence, tmp_path):
    (tmp_path / "file").write_text("")
    places = {"nowhere": tmp_path / "nowhere", "file": tmp_path / "file"}
    code, output = command(*options.format(**places).split())
    assert code == 2
    assert re.search(sentence, output), output
    assert "Traceback" not in output
    assert not (tmp_path / "nowhere").exists()
