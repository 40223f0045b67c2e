"""The layers and operations of a block, read from the module: the boxes of `block_diagram`."""

import operator
import re
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn

SIGNS = {"add": "+", "iadd": "+", "mul": "×", "imul": "×"}
ACTIVATIONS = {"relu": "ReLU", "relu_": "ReLU", "sigmoid": "sigmoid", "silu": "SiLU"}
NAMES = {"BatchNorm2d": "batch norm", "Sigmoid": "sigmoid", "mul": "scale", "cat": "concat"}
FOLDED = ("torch.nn.modules.activation", "torch.nn.modules.batchnorm")


@dataclass
class Box:
    """A layer or an operation of a block."""

    kind: str
    """conv, pool, act (activation or norm), sign (add, multiply), join (concat, split), end (input
    and output), or move (everything else)."""
    title: str
    settings: list[str]
    """Stride and groups, unless they are 1."""
    shape: str
    """C x H x W of the output."""
    followed_by: list[str] = field(default_factory=list)
    """Batch norm and activation that belong to this layer."""
    reads: dict[int, str] = field(default_factory=dict)
    """Maps the number of a box that this one reads to the C x H x W of what it reads."""


def read_block(block: nn.Module, shape: tuple[int, int, int]) -> list[Box]:
    """Read the boxes of a block in the order in which they run, from input to output.

    Batch norm and activation belong to the layer before them, unless another layer reads that one
    too. Modules that do nothing in evaluation mode have no box.

    Args:
        block: a module that takes one batch (N, C, H, W).
        shape: shape (C, H, W) of one input of the block.

    Raises:
        ValueError: the module cannot be traced by `torch.fx`, or does not take inputs of this
            shape.
    """
    copy = deepcopy(block).eval().to("meta")
    try:
        net = fx.GraphModule(copy, _Tracer().trace(copy))
        net.graph.eliminate_dead_code()
        _Shapes(net).run(torch.empty(1, *shape, device="meta"))
    except Exception as error:  # `forward` may raise anything when it gets a proxy
        raise ValueError(
            f"cannot draw {type(block).__name__}: it must take one tensor of shape {_by(shape)}, "
            f"and its control flow must not depend on values ({_first_sentence(error)})"
        ) from error
    boxes: list[Box] = []
    where: dict[fx.Node, int] = {}
    for node in net.graph.nodes:
        shapes = _shapes(node.meta["value"])
        if not shapes or node.op == "get_attr":
            continue
        inputs = [source for source in node.all_input_nodes if source in where]
        layer = net.get_submodule(node.target) if node.op == "call_module" else node.target
        if node.op in ("placeholder", "output"):
            name = "input" if node.op == "placeholder" else "output"
            box = Box("end", f"{name}, {shapes[0]}", [], shapes[0])
        else:
            box = Box(*_describe(layer, shapes, len(inputs)), shapes[0])
        box.reads = {where[source]: _shapes(source.meta["value"])[0] for source in inputs}
        number = where[inputs[0]] if inputs else 0
        if box.kind == "none" or (layer is operator.getitem and boxes[number].kind == "join"):
            where[node] = number
        elif (
            box.kind == "act"
            and boxes[number].kind in ("conv", "act")
            and len(inputs[0].users) == 1
        ):
            boxes[number].followed_by.append(box.title)
            where[node] = number
        else:
            where[node] = len(boxes)
            boxes.append(box)
    return boxes


class _Tracer(fx.Tracer):
    """Traces into modules that have children, and keeps all others as leaves."""

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return super().is_leaf_module(module, name) or not any(module.children())


class _Shapes(fx.Interpreter):
    """Runs a graph and stores the output of each node in its `meta`."""

    def run_node(self, node: fx.Node) -> Any:
        node.meta["value"] = super().run_node(node)
        return node.meta["value"]


def _describe(layer: Any, shapes: list[str], inputs: int) -> tuple[str, str, list[str]]:
    """Kind, title and settings of a module, function or method; "none" if it does nothing."""
    maps, *_ = shapes[0].split("x")
    stride = _one(getattr(layer, "stride", 1))
    strides = [f"stride {stride}"] if stride != "1" else []
    match layer:
        case nn.Conv2d(kernel_size=(height, width), groups=groups):
            depthwise = 1 < groups == layer.in_channels
            kind = "depthwise" if depthwise else "conv"
            grouped = [f"{groups} groups"] if groups > 1 and not depthwise else []
            return "conv", f"{height}x{width} {kind}, {maps}", strides + grouped
        case nn.Linear():
            return "conv", f"fully connected, {maps}", []
        case nn.MaxPool2d() | nn.AvgPool2d():
            kind = "max" if isinstance(layer, nn.MaxPool2d) else "average"
            side = _one(layer.kernel_size)
            side = side if "x" in side else f"{side}x{side}"
            return "pool", f"{side} {kind} pool", strides or ["stride 1"]
        case nn.AdaptiveAvgPool2d():
            return "pool", "global average pool", []
        case nn.Identity() | nn.Dropout():
            return "none", "", []
    name = layer if isinstance(layer, str) else getattr(layer, "__name__", type(layer).__name__)
    if name in SIGNS and inputs > 1:
        return "sign", SIGNS[name], []
    if name in ("cat", "stack"):
        return ("join" if inputs > 1 else "none"), NAMES.get(name, name), []
    if name in ("chunk", "split"):
        parts = " + ".join(shape.split("x")[0] for shape in shapes)
        return "join", f"split, {parts}", []
    if name in ACTIVATIONS or type(layer).__module__ in FOLDED:
        return "act", ACTIVATIONS.get(name) or NAMES.get(name, name), []
    if getattr(layer, "p", None) == 0:
        return "none", "", []
    groups = getattr(layer, "groups", 0)
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", NAMES.get(name, name)).replace("_", " ").lower()
    return "move", words, strides + ([f"{groups} groups"] if groups else [])


def _shapes(value: Any) -> list[str]:
    """C x H x W of a tensor or of each tensor in a list; an empty list for anything else."""
    parts = value if isinstance(value, (list, tuple)) else [value]
    tensors = [part for part in parts if isinstance(part, Tensor)]
    return [_by(tuple(each.shape[1:] if len(each) == 1 else each.shape)) for each in tensors]


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _one(sides: Any) -> str:
    both = list(dict.fromkeys(sides)) if isinstance(sides, tuple) else [sides]
    return "x".join(map(str, both if len(both) == 1 else sides))


def _first_sentence(error: Exception) -> str:
    return re.split(r"\. |\n", str(error))[0] or type(error).__name__
