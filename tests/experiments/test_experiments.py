"""The lecture's experiments: their arms, the costs of the arms, training them, the command."""

import shutil
from dataclasses import replace
from functools import partial
from importlib import resources
from pathlib import Path

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from convnets.__main__ import app
from convnets.analysis import trace
from convnets.experiments import (
    EXPERIMENTS,
    Budget,
    Cost,
    Experiment,
    ExperimentResult,
    command,
    experiment,
    plain_networks,
    recorded,
    run,
    running,
)
from convnets.experiments.accuracy import Ensemble
from convnets.experiments.core import IMAGE_SIZE, closest, images_of, seeded
from convnets.experiments.depth import deepened
from convnets.experiments.efficiency import shuffle_net, without_shuffle
from convnets.experiments.networks import NORMALISED
from convnets.experiments.running import commit_of, rounded
from convnets.models.chain import Chain

ASKED_FOR = {
    *("momentum", "one-by-one"),
    *("activations", "degradation", "shortcuts", "identity", "inception", "squeeze-excite"),
    *("width-depth", "cardinality", "dense", "ensemble", "depthwise", "shuffle"),
    *("scaling", "search"),
}
each = pytest.mark.parametrize("entry", EXPERIMENTS.values(), ids=EXPERIMENTS)
both = pytest.mark.parametrize("budget", ["cpu", "gpu"])


def tiny(entry: Experiment, **options) -> Budget:
    """The CPU budget with a few images: one or two steps a run."""
    recipe = replace(entry.cpu.recipe, batch_size=32)
    return replace(entry.cpu, **({"epochs": 2, "images": 80, "recipe": recipe} | options))


def test_every_question_of_the_lecture_has_an_experiment():
    assert set(EXPERIMENTS) >= ASKED_FOR


def test_experiments_are_in_the_order_of_the_slides():
    slides = [entry.slides for entry in EXPERIMENTS.values()]
    assert slides == sorted(slides)
    assert all(list(group) == sorted(group) for group in slides)


@each
def test_an_experiment_has_a_question_arms_hypotheses_and_slides(entry):
    names = [arm.name for arm in entry.arms]
    assert len(set(names)) == len(names) >= 2
    assert entry.hypotheses
    assert {arm for one in entry.hypotheses for arm in (one.better, one.worse)} <= set(names)
    assert entry.question.endswith("?")
    assert all(1 <= slide <= 69 for slide in entry.slides)
    assert entry.gpu.data == "fashion-mnist"


@pytest.mark.slow
@each
def test_every_parameter_of_every_arm_has_a_gradient(entry):
    images = torch.randn(4, 1, 28, 28)
    for arm in entry.arms:
        net = seeded(arm.build, entry.cpu, seed=0).train()
        loss = nn.functional.cross_entropy(net(images), torch.arange(4))
        loss.backward()
        assert loss.isfinite()
        assert all(parameter.grad is not None for parameter in net.parameters())


@pytest.mark.slow
@both
@each
def test_arms_of_equal_cost_cost_the_same_within_the_stated_tolerance(entry, budget):
    assert entry.equal is not None
    assert len(entry.equal.arms) >= 2
    costs = entry.costs(entry.budget(budget))
    spent = [getattr(costs[arm], entry.equal.quantity) for arm in entry.equal.arms]
    assert min(spent) > 0
    assert max(spent) <= (1 + entry.equal.tolerance) * min(spent)


@pytest.mark.parametrize("name", ["filters", "squeeze-excite", "dense"])
def test_costs_are_those_of_a_trace(name):
    entry = experiment(name)
    costs = entry.costs(entry.cpu)
    for arm in entry.arms:
        traced = trace(arm.build(entry.cpu), IMAGE_SIZE)
        assert costs[arm.name] == Cost(traced.parameters, traced.macs)


def test_the_seed_decides_the_weights_and_the_global_random_state_is_left_alone():
    entry = experiment("shortcuts")
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    first, same, other = (seeded(entry.arms[0].build, entry.cpu, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.rand(2), expected)
    weight = "features.stem.conv.weight"
    assert torch.equal(first.get_parameter(weight), same.get_parameter(weight))
    assert not torch.equal(first.get_parameter(weight), other.get_parameter(weight))


def test_the_size_of_the_closest_cost_is_found_and_targets_out_of_range_raise_errors():
    def linear(size):
        return nn.Sequential(nn.Conv2d(1, size, 1, bias=False))

    target = partial(linear, 37)
    assert closest(linear, target, "parameters", range(1, 100)) == 37
    with pytest.raises(ValueError, match="no size from 1 to 9 makes 37 parameters"):
        closest(linear, target, "parameters", range(1, 10))
    with pytest.raises(ValueError, match="no size from 40 to 99"):
        closest(linear, target, "parameters", range(40, 100))


@pytest.mark.parametrize("mode", [True, False])
@pytest.mark.parametrize("depth", [2, 8])
def test_a_chain_deepened_by_identities_has_exactly_the_same_outputs(depth, mode):
    shallow = Chain("ReLU", depth, width=6).train(mode)
    for parameter in shallow.parameters():
        nn.init.normal_(parameter, std=0.3)  # biases too
    deep = deepened(shallow).train(mode)
    images = torch.randn(5, 1, 28, 28)
    assert sum(isinstance(layer, nn.Conv2d) for layer in deep.features) == 2 * depth
    assert torch.equal(deep(images), shallow(images))
    assert deep(images).std() > 0


def test_a_chain_that_identities_cannot_deepen_raises_an_error():
    for chain in (Chain("ReLU", 3), Chain("tanh", 4), Chain("ReLU", 4, batch_norm=True)):
        with pytest.raises(ValueError, match="even depth"):
            deepened(chain)


def test_the_arms_of_momentum_differ_only_in_momentum_and_learning_rate(monkeypatch):
    entry = experiment("momentum")
    recipes = []
    monkeypatch.setattr(
        plain_networks, "train_once", lambda build, data, budget, seed: recipes.append(budget)
    )
    for arm in entry.arms[1:]:
        arm.train(arm.build, None, entry.cpu, 0)
    own = entry.cpu.recipe
    assert (own.learning_rate, own.momentum) == (0.05, 0.9)
    assert recipes[0] == replace(entry.cpu, recipe=replace(own, momentum=0.0))
    assert recipes[1].recipe.learning_rate == pytest.approx(0.5)
    assert replace(recipes[1].recipe, learning_rate=own.learning_rate, momentum=0.9) == own
    assert len({arm.build for arm in entry.arms}) == 1


def test_only_networks_without_3x3_convolutions_ignore_the_order_of_pixels():
    entry = experiment("one-by-one")
    images = torch.randn(2, 1, 28, 28)
    shuffled = images.flatten(2)[..., torch.randperm(28 * 28)].view_as(images)
    for arm in entry.arms:
        net = seeded(arm.build, entry.cpu, 0).eval()
        with torch.no_grad():
            alike = torch.allclose(net(images), net(shuffled), atol=1e-5)
        assert alike is ("3x3" not in arm.name)


def test_an_ensemble_averages_probabilities():
    members = [nn.Linear(3, 4) for _ in range(3)]
    x = torch.randn(2, 3)
    expected = sum(member(x).softmax(dim=1) for member in members) / 3
    torch.testing.assert_close(Ensemble(members)(x).exp(), expected)


def test_removing_shuffles_changes_the_outputs_but_not_the_weights():
    budget = experiment("shuffle").cpu
    nets = [seeded(build, budget, 0).eval() for build in (shuffle_net, without_shuffle)]
    states = [net.state_dict() for net in nets]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    images = torch.randn(2, 1, 28, 28)
    assert not torch.allclose(nets[0](images), nets[1](images))


def test_a_budget_takes_the_first_training_images_and_not_more_than_exist():
    budget = Budget(epochs=1, seeds=1, width=8, recipe=NORMALISED, images=50)
    assert len(images_of(budget).train) == 50
    assert len(images_of(budget).test) == 2_000
    for images in (0, 10_001):
        with pytest.raises(ValueError, match=r"10,000 training images, the budget asks for"):
            images_of(replace(budget, images=images))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        *("ensemble", "search"),
        *(pytest.param(n, marks=pytest.mark.sweep) for n in ("momentum", "identity", "inception")),
    ],
)
def test_a_tiny_run_measures_every_arm_with_every_seed(name):
    entry = experiment(name)
    result = run(entry, tiny(entry, children=2), seeds=2, progress=False)
    assert [(run.arm, run.seed) for run in result.runs] == [
        (arm.name, seed) for seed in (0, 1) for arm in entry.arms
    ]
    for row in result.runs:
        assert 0 <= row.test_accuracy <= 1
        assert row.training_loss > 0
        assert row.losses
        assert "PyTorch" in row.machine
        assert row.commit == commit_of(Path(running.__file__))
        assert row.losses == [rounded(loss) for loss in row.losses]
    assert len(result.verdict().splitlines()) == len(entry.hypotheses)


def few_arms(name: str, count: int = 2) -> Experiment:
    entry = experiment(name)
    arms = entry.arms[:count]
    names = {arm.name for arm in arms}
    hypotheses = tuple(one for one in entry.hypotheses if {one.better, one.worse} <= names)
    return replace(entry, arms=arms, hypotheses=hypotheses)


def test_an_interrupted_experiment_continues_where_it_stopped(tmp_path):
    entry = few_arms("activations")
    path = tmp_path / "result.json"
    first = run(entry, tiny(entry), seeds=1, path=path, progress=False)
    both = run(entry, tiny(entry), seeds=2, path=path, progress=False)
    assert both.runs[:2] == first.runs
    assert [run.seed for run in both.runs] == [0, 0, 1, 1]
    assert ExperimentResult.load(path) == both


def test_a_file_with_another_budget_raises_an_error(tmp_path):
    entry = few_arms("activations")
    path = tmp_path / "result.json"
    run(entry, tiny(entry), seeds=1, path=path, progress=False)
    with pytest.raises(ValueError, match="another budget or other networks; choose another file"):
        run(entry, tiny(entry, epochs=1), seeds=1, path=path, progress=False)


def test_an_arm_that_is_run_again_with_the_same_seed_has_the_same_losses():
    entry = few_arms("inception")
    first, second = (run(entry, tiny(entry), seeds=1, progress=False) for _ in range(2))
    assert [run.losses for run in first.runs] == [run.losses for run in second.runs]


def test_the_error_for_a_diverging_loss_names_the_arm():
    entry = few_arms("inception")
    wild = replace(entry.cpu.recipe, learning_rate=1e12, clip_norm=None, batch_size=32)
    with pytest.raises(FloatingPointError, match=r"^naive with seed 0: the loss is"):
        run(entry, tiny(entry, recipe=wild), seeds=1, progress=False)


def test_unknown_experiments_budgets_and_seeds_raise_errors():
    with pytest.raises(ValueError, match="did you mean degradation"):
        experiment("degradatoin")
    with pytest.raises(ValueError, match="unknown budget 'tpu'; choose cpu or gpu"):
        run(experiment("dense"), "tpu")
    with pytest.raises(ValueError, match="at least one seed, got 0"):
        run(experiment("dense"), "cpu", seeds=0)


def invoke(*arguments: str):
    return CliRunner().invoke(app, ["experiment", *arguments], env={"COLUMNS": "80"})


def test_the_command_lists_the_experiments_and_rejects_unknown_ones():
    listed = invoke("list")
    assert listed.exit_code == 0
    assert all(name in listed.stdout for name in EXPERIMENTS)
    refused = invoke("nonsense")
    assert refused.exit_code == 2
    assert "unknown experiment" in refused.output


def test_the_command_prints_the_verdict_and_saves_the_result(tmp_path, monkeypatch):
    entry = few_arms("inception")
    monkeypatch.setattr(command, "experiment", lambda name: replace(entry, cpu=tiny(entry)))
    out = invoke("inception", "--budget", "cpu", "--seeds", "1", "--output-dir", str(tmp_path))
    assert out.exit_code == 0, out.output
    assert "One seed does not show how much results vary" in " ".join(out.stdout.split())
    assert "Left out" not in out.stdout
    assert max(map(len, out.stdout.splitlines())) <= 80
    assert len(ExperimentResult.load(tmp_path / "inception-cpu.json").runs) == 2


def test_the_command_prints_a_finished_result_in_80_columns(tmp_path):
    with resources.as_file(resources.files("convnets.experiments") / "recorded") as folder:
        shutil.copy(folder / "momentum-cpu.json", tmp_path)
    out = invoke("momentum", "--budget", "cpu", "--output-dir", str(tmp_path))
    assert out.exit_code == 0, out.output
    row = next(line for line in out.stdout.splitlines() if "ten times the rate" in line)
    arm = recorded("momentum").summaries()[-1]
    values = [f"{value:.4f}" for value in (arm.mean, arm.lowest, arm.highest)]
    assert row.split()[-6:] == ["60.9k", "326.5k", *values, f"{arm.seconds:.1f}"]
    assert max(map(len, out.stdout.splitlines())) <= 80
