"""State dicts that the converter refuses, and those that it accepts."""

import pytest
import torch
import torchvision.models

import convnets
from convnets.models import checkpoints


def test_a_network_that_torchvision_does_not_have_is_refused():
    with pytest.raises(
        ValueError, match="torchvision does not have a network with the layers of 'alexnet'"
    ):
        checkpoints.convert("alexnet", {})


def test_an_unknown_source_is_refused():
    with pytest.raises(ValueError, match="'torchvision', got 'hub'"):
        convnets.create_model("resnet18", weights="hub")


def test_weights_of_another_network_are_refused():
    with torch.device("meta"):
        other = torchvision.models.resnet34().state_dict()
    with pytest.raises(ValueError, match="these are not weights of 'resnet18'"):
        checkpoints.convert("resnet18", other)


def test_a_key_that_no_rule_matches_is_refused():
    with torch.device("meta"):
        state = torchvision.models.resnet18().state_dict()
    state["head.weight"] = torch.zeros(1)
    with pytest.raises(ValueError, match=r"head\.weight"):
        checkpoints.convert("resnet18", state)


def test_files_without_batch_counters_load():
    with torch.device("meta"):
        state = torchvision.models.resnet18().state_dict()
    old = {key: value for key, value in state.items() if "num_batches_tracked" not in key}
    assert (
        checkpoints.convert("resnet18", old).keys()
        == convnets.create_model("resnet18").state_dict().keys()
    )


def test_weights_with_another_number_of_classes_are_refused():
    with pytest.raises(ValueError, match="num_classes=1000 and in_channels=3"):
        convnets.create_model("resnet18", num_classes=10, weights="torchvision")
