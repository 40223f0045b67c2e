import re
from pathlib import Path

import pytest
from torchvision.models import get_model_weights

import convnets
from convnets import registry
from convnets.models import checkpoints

ROOT = Path(__file__).parents[1]


def test_every_card_has_a_builder_and_every_builder_a_card():
    assert set(registry._BUILDERS) == set(convnets.list_models())
    assert len(convnets.list_models()) > 0


def test_models_exports_exactly_the_builders_and_what_works_with_every_network():
    others = {"create_model", "for_inference", "for_training"}
    assert {*convnets.models.__all__} == {*convnets.list_models()} | others


@pytest.mark.parametrize("name", convnets.list_models())
def test_every_builder_is_documented_and_found_by_its_name(name):
    build = getattr(convnets.models, name)
    assert build is registry.builder(name)
    assert (build.__name__, build.__module__.rpartition(".")[0]) == (name, "convnets.models")
    assert re.fullmatch(r"[^\n]+\.", build.__doc__)


def test_names_follow_the_lecture():
    names = convnets.list_models()
    order = [names.index(name) for name in ("lenet5", "alexnet", "vgg11", "resnet18")]
    assert order == sorted(order)


def test_an_unknown_name_is_refused_with_similar_names():
    with pytest.raises(ValueError, match=r"unknown network 'resnet55'.*resnet56"):
        convnets.create_model("resnet55")


def test_a_name_cannot_be_registered_twice():
    def vgg16():
        raise AssertionError

    with pytest.raises(ValueError, match="'vgg16' is registered twice"):
        registry.register(vgg16)


def test_a_name_without_card_cannot_be_registered():
    def vgg17():
        raise AssertionError

    with pytest.raises(ValueError, match=r"'vgg17' has no card; add one to cards\.toml"):
        registry.register(vgg17)


def test_every_cards_paper_is_in_the_bibliography():
    keys = set(re.findall(r"^@\w+\{(\w+),", (ROOT / "references.bib").read_text(), re.MULTILINE))
    assert {convnets.card(name).paper for name in convnets.list_models()} <= keys


def test_a_published_error_always_has_its_source():
    for name in convnets.list_models():
        card = convnets.card(name)
        has_error = card.top1_error is not None or card.top5_error is not None
        assert has_error == (card.error_source is not None), name


def test_errors_quoted_from_torchvision_equal_those_of_the_installed_package():
    sources = {name: convnets.card(name).error_source or "" for name in convnets.list_models()}
    quoted = {name: source for name, source in sources.items() if "torchvision" in source}
    assert len(quoted) > 0
    for name, source in quoted.items():
        network, weights = source.split("torchvision ")[1].split()
        assert network == checkpoints.public_network(name, "torchvision").name, name
        metrics = get_model_weights(network)[weights].meta["_metrics"]["ImageNet-1K"]
        card = convnets.card(name)
        errors = (card.top1_error, card.top5_error)
        assert errors == pytest.approx((100 - metrics["acc@1"], 100 - metrics["acc@5"])), name


def test_errors_quoted_from_a_paper_name_its_year_and_a_table_or_section():
    packages = ("torchvision ", "timm ", "TF-Slim ")
    papers = [
        card
        for card in map(convnets.card, convnets.list_models())
        if card.error_source is not None and not any(p in card.error_source for p in packages)
    ]
    assert len(papers) > 0
    for card in papers:
        pattern = rf"; \w+ {card.year}( \(arXiv( v\d)?\))?, (tables? \d|section )"
        assert re.search(pattern, card.error_source), card.name


def test_top5_errors_are_below_top1_errors():
    for name in convnets.list_models():
        card = convnets.card(name)
        if card.top1_error is not None and card.top5_error is not None:
            assert 0 < card.top5_error < card.top1_error < 100, name
