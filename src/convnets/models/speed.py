"""The same networks in less time, without compilation: for inference and for training.

Most of the time goes into convolutions, which processors with bfloat16 instructions compute about
twice as fast in that format. Operations that were measured to be slower in it stay in float32.
"""

import copy
from contextlib import nullcontext
from itertools import chain
from typing import Any, cast

import torch
from torch import Tensor, fx, nn
from torch.nn.functional import local_response_norm

from convnets.layers import ImageClassifier

FEWEST_USES = 32
"""Multiplications with each weight that make up for converting it and its gradient."""


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether the device computes bfloat16 in hardware, and therefore faster than float32.

    Example:
        >>> has_fast_bfloat16(torch.device("meta"))
        False
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and (
        torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    )


def for_inference(net: ImageClassifier) -> ImageClassifier:
    """A faster copy of `net` for inference.

    Each batch norm after a convolution is folded into it, since in evaluation mode it scales and
    shifts every channel by constants; one that comes before its convolution, as in DenseNet, stays.
    Feature maps are stored with channels last. Activations overwrite their input where nothing else
    reads it.

    On a device with fast bfloat16, weights and feature maps are in that format, except for what
    follows a global average pool within the features, such as the gates of squeeze-and-excitation:
    convolutions of a single pixel are too small to gain from it.

    The scores are float32 and differ from those of `net` by rounding, which networks enlarge:
    most of them little, a deep one with random weights sometimes a lot. The root mean square of the
    differences is therefore compared with what rounding does to `net` itself: in float32, with the
    differences between `net` and the same network in float64; in bfloat16, with those between `net`
    and `net` under `torch.autocast`, PyTorch's own mixed precision. For all registered networks
    with random weights it is at most ten times as large, in the median about as large. In bfloat16
    that is 0.2 to 2 % of the scores in most networks.

    Args:
        net: the network, in evaluation mode, on the device where it will run; it is not changed.

    Returns:
        The copy: (N, in_channels, H, W) -> (N, num_classes), not for training.

    Raises:
        ValueError: if `net` is in training mode, in which batch norm depends on the batch, or if
            the order of its layers depends on the images.

    Example:
        >>> import convnets
        >>> import torch
        >>> net = convnets.models.resnet20().eval()
        >>> image = torch.rand(1, 3, 32, 32)
        >>> scores, expected = for_inference(net)(image), net(image)
        >>> bool((scores - expected).norm() < 0.03 * expected.norm())
        True
    """
    if any(module.training for module in net.modules()):
        raise ValueError("batch norm is constant in evaluation mode only; call net.eval() first")
    fast = copy.deepcopy(net)
    dtype = _best_format(net)
    features, classifier = _fused(fast.features), _fused(fast.classifier)
    _overwrite(features)
    features.to(dtype)
    classifier.to(dtype)
    if dtype != torch.float32:
        _keep_in_float32(features)
    image = next(iter(features.graph.nodes))
    _convert_after(features, image, dtype, memory_format=torch.channels_last)
    scores = classifier.graph.output_node().args[0]
    assert isinstance(scores, fx.Node)
    _convert_after(classifier, scores, torch.float32)
    for name, part in (("features", features), ("classifier", classifier)):
        part.recompile()
        setattr(fast, name, part)
    return fast.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]


def for_training(net: nn.Module) -> nn.Module:
    """A module that trains `net` in less time; both share their parameters and statistics.

    Weights and feature maps are stored with channels last. On a device with fast bfloat16,
    convolutions and fully connected layers compute in it, by `torch.autocast`. On a CPU some layers
    stay in float32, because bfloat16 was measured to be slower there:

    - depthwise convolutions with a stride or a kernel other than 3x3, for whose gradients the CPU's
      library (oneDNN) has fast code in float32 only;
    - layers that use each weight fewer than `FEWEST_USES` times in a batch, such as the gates of
      squeeze-and-excitation: converting the weight would take longer than the multiplications.

    In evaluation mode, the scores differ from those of `net` as little as those of `for_inference`.
    In training mode, batch norm over few values enlarges the differences, as it does all noise.

    Args:
        net: the network (N, C, H, W) -> (N, classes), or a tuple of such scores, on the device
            where it will be trained. Its weights change when the result is trained.

    Returns:
        The module: the same shapes, with scores in float32. Save the weights of `net` itself.

    Example:
        >>> import torch
        >>> import convnets
        >>> net = convnets.models.resnet20()
        >>> fast = for_training(net)
        >>> optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        >>> images, labels = torch.rand(8, 3, 32, 32), torch.arange(8)
        >>> loss = torch.nn.functional.cross_entropy(fast(images), labels)
        >>> loss.backward()
        >>> optimizer.step()
    """
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    shared = {id(tensor): tensor for tensor in chain(net.parameters(), net.buffers())}
    return _Training(copy.deepcopy(net, shared), _best_format(net))


def _best_format(net: nn.Module) -> torch.dtype:
    """The number format in which the device of `net` is fastest."""
    return torch.bfloat16 if has_fast_bfloat16(next(net.parameters()).device) else torch.float32


# Inference


def _fused(part: nn.Module) -> fx.GraphModule:
    """`part` as a graph of its layers, with batch norms folded into the convolutions before them.

    Raises:
        ValueError: if the order of its layers depends on the input.
    """
    from torch.fx.experimental import optimization  # slow to import

    try:
        with torch.no_grad():  # so that no layer is set on saving memory for the backward pass
            graph = fx.symbolic_trace(part)
    except fx.proxy.TraceError as error:
        raise ValueError(
            f"the layers of {type(part).__name__} depend on the images ({error}); for_inference "
            "needs layers that are called in the same order for all"
        ) from error
    shared = [layer for layer, nodes in _calls(graph).items() if len(nodes) > 1]
    if not any(list(layer.parameters()) for layer in shared):  # each norm has its own convolution
        graph = cast(fx.GraphModule, optimization.fuse(graph, inplace=True, no_trace=True))
    return graph


def _calls(part: fx.GraphModule) -> dict[nn.Module, list[fx.Node]]:
    """The layers of `part`, each with the nodes that call it."""
    calls: dict[nn.Module, list[fx.Node]] = {}
    for node in part.graph.nodes:
        if node.op == "call_module":
            calls.setdefault(part.get_submodule(node.target), []).append(node)
    return calls


def _overwrite(part: fx.GraphModule) -> None:
    """Let activations overwrite what a layer has just made and nothing else reads."""
    calls = _calls(part)
    makes_a_tensor = (nn.Conv2d, nn.Linear, nn.BatchNorm2d)
    new = {n for layer, nodes in calls.items() if isinstance(layer, makes_a_tensor) for n in nodes}
    for layer, nodes in calls.items():
        sources = [source for node in nodes for source in node.all_input_nodes]
        if hasattr(layer, "inplace") and all(s in new and len(s.users) == 1 for s in sources):
            layer.inplace = True  # type: ignore[assignment]


def _keep_in_float32(part: fx.GraphModule) -> None:
    """Let layers that are slower or impossible in bfloat16 compute in float32.

    Slower are those that read only global averages. Local response normalisation does not exist.
    """
    modules = dict(part.named_modules())
    averages: set[fx.Node] = set()
    for node in list(part.graph.nodes):
        layer = modules.get(node.target) if node.op == "call_module" else None
        inputs = set(node.all_input_nodes)
        if isinstance(layer, nn.AdaptiveAvgPool2d) and layer.output_size == 1:
            averages.add(_convert_after(part, node, torch.float32))
        elif layer is not None and inputs and inputs <= averages:
            layer.float()
            averages.add(node)
        else:
            for source in inputs & averages:
                _convert_before(part, node, source, torch.bfloat16)
        if isinstance(layer, nn.LocalResponseNorm) or node.target is local_response_norm:
            _convert_before(part, node, node.args[0], torch.float32)
            _convert_after(part, node, torch.bfloat16)


def _convert_before(
    part: fx.GraphModule, node: fx.Node, source: fx.Node, dtype: torch.dtype
) -> None:
    """Convert the input `source` of `node`."""
    with part.graph.inserting_before(node):
        node.replace_input_with(source, part.graph.call_method("to", (source, dtype)))


def _convert_after(
    part: fx.GraphModule, node: fx.Node, dtype: torch.dtype, **options: Any
) -> fx.Node:
    """Convert the output of `node` for all that read it."""
    with part.graph.inserting_after(node):
        converted = part.graph.call_method("to", (node, dtype), options)
    node.replace_all_uses_with(converted, lambda user: user is not converted)
    return converted


# Training


class _Training(nn.Module):
    """Runs `net` with channels last and in `dtype`: (N, C, H, W) -> scores of `net` in float32."""

    def __init__(self, net: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.net, self.dtype = net, dtype
        if dtype != torch.float32:
            for layer in net.modules():
                if type(layer) in (nn.Conv2d, nn.Linear):
                    layer.__class__ = _Conv2d if isinstance(layer, nn.Conv2d) else _Linear

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        x = x.contiguous(memory_format=torch.channels_last)
        is_plain = self.dtype == torch.float32
        with nullcontext() if is_plain else torch.autocast(x.device.type, self.dtype):
            scores = self.net(x)
        return scores.float() if isinstance(scores, Tensor) else tuple(s.float() for s in scores)


class _Conv2d(nn.Conv2d):
    """A convolution that uses float32 under `torch.autocast` where that is faster on a CPU."""

    def forward(self, x: Tensor) -> Tensor:
        depthwise = self.groups == self.in_channels > 1
        slow_gradients = depthwise and (self.kernel_size, self.stride) != ((3, 3), (1, 1))
        uses = x.numel() // (x.shape[-3] * self.stride[0] * self.stride[1])
        if x.device.type != "cpu" or (not slow_gradients and uses >= FEWEST_USES):
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float())


class _Linear(nn.Linear):
    """A fully connected layer that uses float32 under `torch.autocast` where that is faster."""

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or x.numel() // self.in_features >= FEWEST_USES:
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float())
