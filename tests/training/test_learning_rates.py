"""The learning rate of the default recipe: measured for each family, and right for its networks."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import convnets
from convnets.experiments.networks import NORMALISED
from convnets.training import RECIPES, Recipe, fit, load
from convnets.training.learning_rates import (
    FAMILY_RATES,
    OTHER_RATES,
    is_normalised,
    learning_rate_for,
)
from convnets.training.recipes import for_network, make_optimizer

TABLE = Path(__file__).parents[2] / "benchmarks" / "results" / "recipes.md"


def on_meta(name: str) -> nn.Module:
    with torch.device("meta"):
        return convnets.create_model(name)


def rows() -> list[list[str]]:
    """Family, network, steps, accuracies at each rate, and the best rate of each network."""
    lines = [line for line in TABLE.read_text().splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_every_rate_is_one_that_was_measured_for_a_network_of_its_family():
    measured: dict[tuple[str, bool], set[float]] = {}
    for family, name, *_, best in rows():
        assert convnets.card(name).family == family
        if best != "none":
            measured.setdefault((family, is_normalised(on_meta(name))), set()).add(float(best))
    assert measured.keys() == FAMILY_RATES.keys()
    assert all(FAMILY_RATES[group] in best for group, best in measured.items())


def test_the_table_names_the_families_that_take_the_rate_of_similar_networks():
    measured = {family for family, _ in FAMILY_RATES}
    families = dict.fromkeys(convnets.card(name).family for name in convnets.list_models())
    left_over = ", ".join(family for family in families if family not in measured)
    assert f"Not measured, or not long enough to learn: {left_over}." in TABLE.read_text()


@pytest.mark.parametrize("name", convnets.list_models())
def test_every_network_gets_the_rate_of_its_family_or_of_similar_networks(name):
    net = on_meta(name)
    group = convnets.card(name).family, is_normalised(net)
    rate = for_network(RECIPES["modern"], net).learning_rate
    assert rate == learning_rate_for(net) == FAMILY_RATES.get(group, OTHER_RATES[group[1]])


def test_networks_without_normalisation_get_a_lower_rate():
    assert OTHER_RATES[False] < OTHER_RATES[True]
    assert learning_rate_for(on_meta("vgg16")) < learning_rate_for(on_meta("vgg16_bn"))


def test_a_network_and_its_name_get_the_same_rate():
    full = load()
    few = replace(full, train=full.train.subset(torch.arange(200)))
    by_name = fit("lenet5", few, epochs=1, device="cpu", progress=False)
    net = convnets.create_model("lenet5", 10, 1)
    by_net = fit(net, few, RECIPES["modern"], epochs=1, device="cpu", progress=False)
    assert by_name.recipe == by_net.recipe
    assert by_name.recipe.learning_rate == FAMILY_RATES["LeNet", False]


def test_other_networks_get_the_rate_of_similar_ones():
    plain = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.LocalResponseNorm(5))
    assert learning_rate_for(plain) == OTHER_RATES[False]
    for norm in (nn.BatchNorm2d(4), nn.GroupNorm(2, 4), nn.LayerNorm(4), nn.SyncBatchNorm(4)):
        assert learning_rate_for(nn.Sequential(*plain, norm)) == OTHER_RATES[True]


def test_a_rate_that_is_given_is_kept():
    net = on_meta("lenet5")
    for recipe in (RECIPES["resnet"], NORMALISED, Recipe(1, 8, learning_rate=7.0)):
        assert for_network(recipe, net) == recipe
        assert make_optimizer(net, recipe).param_groups[0]["lr"] == recipe.learning_rate


@pytest.mark.sweep
def test_lenet_learns_with_the_default_recipe():
    """With the rate of residual networks, its loss rose to 5.6 and it ended at 62 %."""
    record = fit("lenet5", epochs=3, device="cpu", progress=False)
    assert max(record.step_losses) < 2.6
    assert record.test_accuracy > 0.75
