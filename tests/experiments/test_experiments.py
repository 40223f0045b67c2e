"""The lecture's experiments: what they compare, what it costs, and that they run."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import typer
from torch import nn
from typer.testing import CliRunner

from convnets.experiments import (
    EXPERIMENTS,
    Budget,
    Experiment,
    Result,
    experiment,
    plain_networks,
    run,
    running,
)
from convnets.experiments import __main__ as experiments_command
from convnets.experiments.accuracy import Ensemble
from convnets.experiments.core import closest, images_of, seeded
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


def test_every_experiment_of_the_lecture_is_there():
    assert set(EXPERIMENTS) >= ASKED_FOR


def test_they_are_in_the_lectures_order():
    slides = [entry.slides for entry in EXPERIMENTS.values()]
    assert slides == sorted(slides)
    assert all(list(group) == sorted(group) for group in slides)


@each
def test_an_experiment_is_complete(entry):
    names = [arm.name for arm in entry.arms]
    assert len(set(names)) == len(names) >= 2
    assert entry.claims
    assert {arm for claim in entry.claims for arm in (claim.better, claim.worse)} <= set(names)
    assert entry.question.endswith("?")
    assert all(1 <= slide <= 69 for slide in entry.slides)
    assert entry.gpu.data == "fashion-mnist"


@pytest.mark.slow
@each
def test_every_arm_learns_from_one_batch(entry):
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


def test_the_seed_decides_the_weights_and_leaves_the_callers_stream_alone():
    entry = experiment("shortcuts")
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    first, same, other = (seeded(entry.arms[0].build, entry.cpu, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.rand(2), expected)
    weight = "features.stem.conv.weight"
    assert torch.equal(first.get_parameter(weight), same.get_parameter(weight))
    assert not torch.equal(first.get_parameter(weight), other.get_parameter(weight))


def test_the_closest_size_is_found_and_impossible_ones_are_refused():
    def linear(size):
        return nn.Sequential(nn.Conv2d(1, size, 1, bias=False))

    assert closest(linear, linear(37), "parameters", range(1, 100)) == 37
    with pytest.raises(ValueError, match="no size from 1 to 9 makes 37 parameters"):
        closest(linear, linear(37), "parameters", range(1, 10))
    with pytest.raises(ValueError, match="no size from 40 to 99"):
        closest(linear, linear(37), "parameters", range(40, 100))


@pytest.mark.parametrize("mode", [True, False])
@pytest.mark.parametrize("depth", [2, 8])
def test_a_chain_that_identities_make_deeper_computes_exactly_the_same(depth, mode):
    shallow = Chain("ReLU", depth, width=6).train(mode)
    for parameter in shallow.parameters():
        nn.init.normal_(parameter, std=0.3)  # biases too
    deep = deepened(shallow).train(mode)
    images = torch.randn(5, 1, 28, 28)
    assert sum(isinstance(layer, nn.Conv2d) for layer in deep.features) == 2 * depth
    assert torch.equal(deep(images), shallow(images))
    assert deep(images).std() > 0


def test_what_identities_cannot_make_deeper_is_refused():
    for chain in (Chain("ReLU", 3), Chain("tanh", 4), Chain("ReLU", 4, batch_norm=True)):
        with pytest.raises(ValueError, match="even depth"):
            deepened(chain)


def test_the_arms_of_momentum_differ_in_nothing_but_the_steps(monkeypatch):
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


def test_a_net_of_1x1_sees_a_bag_of_pixels_and_one_of_3x3_does_not():
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


def test_without_the_shuffle_the_weights_are_the_same_and_the_outputs_are_not():
    budget = experiment("shuffle").cpu
    nets = [seeded(build, budget, 0).eval() for build in (shuffle_net, without_shuffle)]
    states = [net.state_dict() for net in nets]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    images = torch.randn(2, 1, 28, 28)
    assert not torch.allclose(nets[0](images), nets[1](images))


def test_a_budget_takes_the_first_images_and_no_more_than_there_are():
    budget = Budget(epochs=1, seeds=1, width=8, recipe=NORMALISED, images=50)
    assert len(images_of(budget).train) == 50
    assert len(images_of(budget).test) == 2_000
    for images in (0, 10_001):
        with pytest.raises(ValueError, match=r"10,000 training images, the budget asks for"):
            images_of(replace(budget, images=images))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["momentum", "identity", "ensemble", "search", "inception"])
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
    assert len(result.verdict().splitlines()) == len(entry.claims)


def few_arms(name: str, count: int = 2) -> Experiment:
    entry = experiment(name)
    arms = entry.arms[:count]
    names = {arm.name for arm in arms}
    claims = tuple(claim for claim in entry.claims if {claim.better, claim.worse} <= names)
    return replace(entry, arms=arms, claims=claims)


def test_a_run_that_was_stopped_goes_on_where_it_was(tmp_path):
    entry = few_arms("activations")
    path = tmp_path / "result.json"
    first = run(entry, tiny(entry), seeds=1, path=path, progress=False)
    both = run(entry, tiny(entry), seeds=2, path=path, progress=False)
    assert both.runs[:2] == first.runs
    assert [run.seed for run in both.runs] == [0, 0, 1, 1]
    assert Result.load(path) == both


def test_a_file_of_another_budget_is_not_mixed_in(tmp_path):
    entry = few_arms("activations")
    path = tmp_path / "result.json"
    run(entry, tiny(entry), seeds=1, path=path, progress=False)
    with pytest.raises(ValueError, match="another budget or other networks; name another file"):
        run(entry, tiny(entry, epochs=1), seeds=1, path=path, progress=False)


def test_the_same_seed_gives_the_same_run_of_an_arm():
    entry = few_arms("inception")
    first, second = (run(entry, tiny(entry), seeds=1, progress=False) for _ in range(2))
    assert [run.losses for run in first.runs] == [run.losses for run in second.runs]


def test_an_arm_that_diverges_is_named():
    entry = few_arms("inception")
    wild = replace(entry.cpu.recipe, learning_rate=1e12, clip_norm=None, batch_size=32)
    with pytest.raises(FloatingPointError, match=r"^naive with seed 0: the loss is"):
        run(entry, tiny(entry, recipe=wild), seeds=1, progress=False)


def test_unknown_experiments_budgets_and_seeds_are_refused():
    with pytest.raises(ValueError, match="did you mean degradation"):
        experiment("degredation")
    with pytest.raises(ValueError, match="unknown budget 'tpu'; choose cpu or gpu"):
        run(experiment("dense"), "tpu")
    with pytest.raises(ValueError, match="at least one seed, got 0"):
        run(experiment("dense"), "cpu", seeds=0)


def command(*arguments: str):
    app = typer.Typer()
    app.command()(experiments_command.main)
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})


def test_the_command_lists_the_experiments_and_refuses_others():
    listed = command("list")
    assert listed.exit_code == 0
    assert all(name in listed.stdout for name in EXPERIMENTS)
    refused = command("nonsense")
    assert refused.exit_code == 2
    assert "unknown experiment" in refused.output


def test_the_command_prints_the_verdict_and_keeps_the_result(tmp_path, monkeypatch):
    entry = few_arms("inception")
    monkeypatch.setattr(
        experiments_command, "experiment", lambda name: replace(entry, cpu=tiny(entry))
    )
    out = command("inception", "--budget", "cpu", "--seeds", "1", "--out", str(tmp_path))
    assert out.exit_code == 0, out.output
    assert "One seed says nothing of chance" in out.stdout
    assert len(Result.load(tmp_path / "inception-cpu.json").runs) == 2
