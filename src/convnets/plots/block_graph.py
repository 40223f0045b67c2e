"""What a block of a network consists of, read from the module: the boxes of `block_diagram`."""

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
    """A layer or an operation."""

    kind: str
    """conv, pool, act (activation or norm), sign (add, multiply), join (concat, split), move (all
    else), or end (input and output)."""
    title: str
    settings: list[str]
    """Stride and groups, where they are not 1."""
    shape: str
    """C x H x W of the output."""
    followed_by: list[str] = field(default_factory=list)
    """Batch norm and activation."""
    reads: dict[int, str] = field(default_factory=dict)
    """Number of a box whose output goes in -> C x H x W of what goes in."""


def read_block(block: nn.Module, shape: tuple[int, int, int]) -> list[Box]:
    """The boxes in the order in which they run, the input first and the output last.

    Batch norm and activation belong to the layer before them, if nobody else reads that layer.
    What does nothing in evaluation mode has no box.

    Raises:
        ValueError: the module cannot be traced, or does not take maps of this shape.
    """
    copy = deepcopy(block).eval().to("meta")
    try:
        net = fx.GraphModule(copy, _Tracer().trace(copy))
        net.graph.eliminate_dead_code()
        _Shapes(net).run(torch.empty(1, *shape, device="meta"))
    except Exception as error:  # forward may raise anything when it meets a stand-in
        raise ValueError(
            f"a {type(block).__name__} cannot be drawn: it must take one tensor of {_by(shape)} "
            f"maps and do the same whatever their values are ({_first_sentence(error)})"
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
    """Looks into all modules that have children, and into no others."""

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return super().is_leaf_module(module, name) or not any(module.children())


class _Shapes(fx.Interpreter):
    """Runs a graph and leaves with each node what it puts out."""

    def run_node(self, node: fx.Node) -> Any:
        node.meta["value"] = super().run_node(node)
        return node.meta["value"]


def _describe(layer: Any, shapes: list[str], inputs: int) -> tuple[str, str, list[str]]:
    """Kind, title and settings of a module, a function or a method; "none" if it does nothing."""
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
    """C x H x W of a tensor, or of each tensor of a list; nothing for anything else."""
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
