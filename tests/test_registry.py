import re
from pathlib import Path

import pytest

import convnets
from convnets import registry

ROOT = Path(__file__).parents[1]


def test_every_card_has_a_builder_and_every_builder_a_card():
    assert set(registry._BUILDERS) == set(convnets.names())
    assert len(convnets.names()) > 0


def test_names_follow_the_lecture():
    names = convnets.names()
    order = [names.index(name) for name in ("lenet5", "alexnet", "vgg11", "resnet18")]
    assert order == sorted(order)


def test_an_unknown_name_is_answered_with_the_nearest_names():
    with pytest.raises(ValueError, match=r"unknown network 'resnet55'.*resnet56"):
        convnets.build("resnet55")


def test_a_name_cannot_be_registered_twice():
    with pytest.raises(ValueError, match="registered twice"):
        registry.register("vgg16")(lambda: None)


def test_a_name_without_card_cannot_be_registered():
    with pytest.raises(ValueError, match=r"add one to cards\.toml"):
        registry.register("vgg17")(lambda: None)


def test_every_cards_paper_is_in_the_bibliography():
    keys = set(re.findall(r"^@\w+\{(\w+),", (ROOT / "references.bib").read_text(), re.MULTILINE))
    assert {convnets.card(name).paper for name in convnets.names()} <= keys


def test_a_published_error_always_has_its_source():
    for name in convnets.names():
        card = convnets.card(name)
        has_error = card.top1_error is not None or card.top5_error is not None
        assert has_error == (card.error_source is not None), name
