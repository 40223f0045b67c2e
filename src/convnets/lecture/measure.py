"""Measurements for the claims: cached traces of the networks, figures in the slides' notation."""

from functools import cache

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

import convnets
from convnets.analysis import LayerRow, Trace, trace
from convnets.layers import ImageClassifier


@cache
def network(name: str) -> ImageClassifier:
    """The network as published, on the meta device, so that only its layers can be inspected."""
    with torch.device("meta"):
        return convnets.create_model(name).eval()


@cache
def traced(name: str) -> Trace:
    """The layers of the network for one image of the size that the paper uses."""
    return trace(network(name))


def convolutions(layers: Trace) -> list[LayerRow]:
    """The rows of all convolutions."""
    return [row for row in layers if row.kind == "Conv2d"]


def weights(layers: Trace) -> int:
    """Number of weights of all convolutions without biases, as the slides count them."""
    return sum(row.weights for row in convolutions(layers))


def size(row: LayerRow) -> str:
    """Output shape as height x width x channels, in the slides' order."""
    channels, *sides = row.output
    return "x".join(map(str, (*sides, channels)))


def filters(row: LayerRow) -> str:
    """Height x width x channels of one filter of a convolution."""
    assert row.kernel is not None
    height, width = row.kernel
    return f"{height}x{width}x{row.weights // (row.output[0] * height * width)}"


def kernel(row: LayerRow) -> str:
    """The kernel as slides write it: 3x3."""
    assert row.kernel is not None
    return "x".join(map(str, row.kernel))


def short_name(row: LayerRow) -> str:
    """The layer's name as on slides: CONV1."""
    return row.name.rpartition(".")[2].upper().replace("_", "-")


def stride(row: LayerRow) -> int:
    """The stride in pixels."""
    assert row.stride is not None
    return row.stride[0]


def padding(row: LayerRow) -> int:
    """The padding on each side in pixels."""
    assert row.padding is not None
    return row.padding[0]


@cache
def graph(name: str) -> dict[Node, list[Node]]:
    """Operations from image to scores in topological order, each with the operations that it reads.

    This is the graph that autograd records in one forward pass.
    """
    card = convnets.card(name)
    side = card.input_size
    scores: Tensor = network(name)(torch.empty(1, card.in_channels, side, side, device="meta"))
    assert scores.grad_fn is not None
    ordered: dict[Node, list[Node]] = {}
    stack = [scores.grad_fn]
    while stack:
        read = [parent for parent, _ in stack[-1].next_functions if parent is not None]
        waiting = [parent for parent in read if parent not in ordered]
        if waiting:
            stack += waiting
        else:
            node = stack.pop()
            ordered[node] = read
    return ordered


def depth(name: str) -> int:
    """Number of convolutions and fully connected layers on the longest path to the scores."""
    longest: dict[Node, int] = {}
    for node, read in graph(name).items():
        is_layer = node.name().startswith(("ConvolutionBackward", "AddmmBackward"))
        longest[node] = is_layer + max((longest[parent] for parent in read), default=0)
    return max(longest.values())


def adds_maps(name: str) -> bool:
    """Whether the network has shortcuts that are added to other maps."""
    return any(node.name().startswith("AddBackward") for node in graph(name))


def count(layers: Trace, kind: type[nn.Module]) -> int:
    """Number of layers of one kind."""
    return sum(row.kind == kind.__name__ for row in layers)


def top1_error(name: str) -> float:
    """Published top-1 error in percent."""
    error = convnets.card(name).top1_error
    assert error is not None
    return error
