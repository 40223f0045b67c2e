import copy

import pytest
import torch
from pytorchcv.model_provider import get_model as get_pytorchcv_model
from torch import nn
from torch.nn.functional import cross_entropy

import convnets
from convnets.models import checkpoints
from convnets.models.densenet import (
    CONFIGS,
    BottleneckLayer,
    DenseBlock,
    DenseLayer,
    DenseNet,
    DenseNetConfig,
    bare_stem,
)
from tests.conftest import on_meta, traced
from tests.models.pytorchcv_weights import SMALL_DENSENET

TINY = DenseNetConfig((2, 3), 4, 8, stem=bare_stem, smallest_input=2)


# Table 2 of the paper, column "Params", in millions.
@pytest.mark.parametrize(("name", "millions"), [("densenet40_12", 1.0), ("densenet_bc100_12", 0.8)])
def test_small_networks_have_the_papers_parameters(name, millions):
    assert round(convnets.card(name).parameters / 1e6, 1) == millions


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        *((f"densenet{depth}", depth) for depth in (121, 161, 169, 201)),
        ("densenet40_12", 40),
        ("densenet_bc100_12", 100),
    ],
)
def test_the_number_in_a_name_counts_the_layers_with_weights(name, layers):
    modules = on_meta(name).modules()
    assert sum(isinstance(module, (nn.Conv2d, nn.Linear)) for module in modules) == layers


def test_blocks_have_the_sizes_of_table_1():
    rows = traced("densenet121")
    pools = [row.output for row in rows if row.name.endswith("pool")]
    assert pools == [(64, 56, 56), (128, 28, 28), (256, 14, 14), (512, 7, 7), (1024, 1, 1)]


@pytest.mark.parametrize("layer", [DenseLayer, BottleneckLayer])
def test_a_block_outputs_its_input_and_the_outputs_of_all_its_layers(layer):
    block = DenseBlock([layer(6, 4), layer(10, 4), layer(14, 4)]).eval()
    x = torch.randn(2, 6, 5, 7)
    y = block(x)
    assert y.shape == (2, 18, 5, 7)
    assert torch.equal(y[:, :6], x)
    assert torch.equal(y[:, 10:14], block.layer2([y[:, :6], y[:, 6:10]]))


@pytest.mark.parametrize("layer", [DenseLayer, BottleneckLayer])
def test_saving_memory_changes_neither_gradients_nor_statistics(layer):
    row = DenseNetConfig((2, 3), 4, 8, layer=layer, stem=bare_stem, smallest_input=2)
    plain, saving = DenseNet(row, num_classes=3), DenseNet(row, save_memory=True, num_classes=3)
    saving.load_state_dict(plain.state_dict())
    images, labels = torch.randn(4, 3, 9, 11), torch.tensor([0, 1, 2, 0])
    for net in (plain, saving):
        cross_entropy(net(images), labels).backward()
    for (key, ours), theirs in zip(saving.named_parameters(), plain.parameters(), strict=True):
        assert torch.equal(ours.grad, theirs.grad), key
    for (key, ours), theirs in zip(saving.named_buffers(), plain.buffers(), strict=True):
        assert torch.equal(ours, theirs), key


def test_saving_memory_keeps_fewer_bytes_for_the_backward_pass():
    def kept(net: nn.Module) -> int:
        storages: dict[int, int] = {}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            scores = net(torch.randn(2, 3, 32, 32))
        del scores
        return sum(storages.values())

    row = CONFIGS["densenet40_12"]
    assert kept(DenseNet(row, save_memory=True)) < 0.4 * kept(DenseNet(row))


def test_a_network_that_saves_memory_can_be_copied_evaluated_and_exported():
    net = DenseNet(TINY, save_memory=True, num_classes=3).eval()
    images = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        expected = net(images)
        assert torch.equal(copy.deepcopy(net)(images), expected)
        exported = torch.export.export(net, (images,)).module()
        torch.testing.assert_close(exported(images), expected)


@pytest.mark.sweep
def test_a_network_that_saves_memory_compiles_for_training():
    net = DenseNet(TINY, save_memory=True, num_classes=3)
    images = torch.randn(2, 3, 8, 8)
    torch.compile(net, backend="aot_eager", fullgraph=True)(images).sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_published_files_with_dots_before_the_number_load():
    with torch.device("meta"):
        state = convnets.create_model("densenet121").state_dict()
    rename = checkpoints.public_network("densenet121", "torchvision").renamer(
        on_meta("densenet121")
    )
    for old, new in (
        ("features.denseblock1.denselayer2.norm.1.weight", "features.block1.layer2.norm1.weight"),
        ("features.denseblock4.denselayer16.conv.2.weight", "features.block4.layer16.conv2.weight"),
    ):
        assert rename(old) == rename(old.replace("m.", "m").replace("v.", "v")) == new
        assert new in state


@pytest.mark.slow
def test_densenet_40_with_halved_transitions_equals_pytorchcvs():
    theirs = get_pytorchcv_model("densenet40_k12_cifar10").eval()
    config = DenseNetConfig((12, 12, 12), 12, 24, 0.5, DenseLayer, bare_stem, 4)
    ours = DenseNet(config, num_classes=10).eval()
    rename = SMALL_DENSENET(ours)
    ours.load_state_dict({rename(key): value for key, value in theirs.state_dict().items()})
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images), rtol=1e-5, atol=1e-5)
