"""Explorers of the cost of layers and networks: Inception, depthwise convolutions, scaling."""

from dataclasses import replace
from functools import cache

import torch
from torch import nn

from convnets.analysis import Trace, trace
from convnets.layers import conv_norm_act
from convnets.models.compound_scaling import compound_scaling
from convnets.models.efficientnet import EfficientNet, MBConv
from convnets.models.googlenet import TABLE_1, InceptionModule, NaiveInception
from convnets.plots import CourseFigure, block_skyline, figure, layer_bars, stacked_bars
from convnets.widgets.explorer import Explorer

MODULE, MODULE_CHANNELS, MODULE_SIDE = TABLE_1["3b"], 256, 28
"""Widths, input channels and side in pixels of GoogLeNet's module 3b, the lecture's example."""
DEPTHWISE_SIDE = 14
LARGEST_PHI = 7


def inception_cost() -> Explorer:
    """Explore the cost of Inception module 3b with and without its 1x1 reductions.

    The controls are the numbers of maps to which the reductions before the 3x3 and the 5x5
    convolution reduce the input (slides 28 and 31).

    Example:
        >>> list(inception_cost().controls)
        ['reduce3x3', 'reduce5x5']
    """

    @cache
    def modules(reduce3x3: int, reduce5x5: int) -> dict[str, Trace]:
        row = replace(MODULE, reduce3x3=reduce3x3, reduce5x5=reduce5x5)
        with torch.device("meta"):
            naive = NaiveInception(MODULE_CHANNELS, row.conv1x1, row.conv3x3, row.conv5x5)
            reduced = InceptionModule(MODULE_CHANNELS, row)
        return {"naive": trace(naive, MODULE_SIDE), "reduced": trace(reduced, MODULE_SIDE)}

    def draw(reduce3x3: int, reduce5x5: int) -> CourseFigure:
        fig = figure(1, 2, width=7.5, height=2.6)
        traced = modules(reduce3x3, reduce5x5)
        for ax, what, unit, label in (
            (fig.axes[0], "parameters", 1e3, "parameters (thousands)"),
            (fig.axes[1], "macs", 1e6, "MACs (millions)"),
        ):
            bars: dict[str, dict[str, float]] = {name: {} for name in traced}
            for name, rows in traced.items():
                for row in rows:
                    if row.kernel is not None and row.parameters:
                        part = _part(row.name, row.kernel[0])
                        cost = getattr(row, what) / unit
                        bars[name][part] = bars[name].get(part, 0) + cost
            stacked_bars(ax, bars, label)
        handles, labels = fig.axes[1].get_legend_handles_labels()
        fig.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=9)
        return fig

    def describe(reduce3x3: int, reduce5x5: int) -> str:
        naive, reduced = modules(reduce3x3, reduce5x5).values()
        maps, naive_maps = (
            MODULE.out_channels,
            MODULE.out_channels - MODULE.pool_projection + MODULE_CHANNELS,
        )
        return (
            f"256 maps of 28x28; reductions to {reduce3x3} maps before the 3x3 and to {reduce5x5} "
            f"before the 5x5 convolution: {reduced.parameters:,} parameters and "
            f"{reduced.macs / 1e6:.0f} million MACs, {reduced.macs / naive.macs:.0%} of the naive "
            f"module's {naive.parameters:,} and {naive.macs / 1e6:.0f} million. It outputs "
            f"{maps} maps, the naive module {naive_maps}."
        )

    return Explorer(
        "What an Inception module costs",
        draw,
        describe,
        {"reduce3x3": [32, 64, 96, 128, 192], "reduce5x5": [16, 32, 64, 96]},
        start={"reduce3x3": MODULE.reduce3x3, "reduce5x5": MODULE.reduce5x5},
    )


def _part(layer: str, kernel_size: int) -> str:
    if "reduce" in layer:
        return "1x1 reductions"
    return "1x1 after the pool" if "project" in layer else f"{kernel_size}x{kernel_size}"


def depthwise_cost() -> Explorer:
    """Explore the cost of a depthwise separable convolution against that of a convolution.

    The controls are the kernel size and the numbers of input and output channels (slide 61).

    Example:
        >>> list(depthwise_cost().controls)
        ['kernel_size', 'in_channels', 'out_channels']
    """

    @cache
    def layers(kernel_size: int, in_channels: int, out_channels: int) -> tuple[Trace, Trace]:
        with torch.device("meta"):
            standard = conv_norm_act(in_channels, out_channels, kernel_size)
            separable = nn.Sequential(
                conv_norm_act(in_channels, in_channels, kernel_size, groups=in_channels),
                conv_norm_act(in_channels, out_channels, 1),
            )
        return trace(standard, DEPTHWISE_SIDE), trace(separable, DEPTHWISE_SIDE)

    def draw(kernel_size: int, in_channels: int, out_channels: int) -> CourseFigure:
        fig = figure(width=6.5, height=2.3)
        standard, separable = layers(kernel_size, in_channels, out_channels)
        bars = {
            "convolution": {"convolution": standard.macs / 1e6},
            "separable": {
                "depthwise": separable["0.conv"].macs / 1e6,
                "pointwise": separable["1.conv"].macs / 1e6,
            },
        }
        ax = stacked_bars(fig.axes[0], bars, "MACs (millions)")
        ax.legend(loc="lower right")
        return fig

    def describe(kernel_size: int, in_channels: int, out_channels: int) -> str:
        standard, separable = layers(kernel_size, in_channels, out_channels)
        rule = 1 / out_channels + 1 / kernel_size**2
        return (
            f"{in_channels} maps of {DEPTHWISE_SIDE}x{DEPTHWISE_SIDE} to {out_channels}, kernel "
            f"{kernel_size}x{kernel_size}: a convolution takes {standard.macs / 1e6:.4g} million "
            "MACs. A depthwise and a pointwise convolution together take "
            f"{separable.macs / 1e6:.4g} million, {separable.macs / standard.macs:.3f} of that. "
            f"The rule, for any number of input maps: 1/N + 1/k^2 = 1/{out_channels} + "
            f"1/{kernel_size**2} = {rule:.3f}."
        )

    return Explorer(
        "A convolution split into depthwise and pointwise",
        draw,
        describe,
        {
            "kernel_size": [3, 5, 7],
            "in_channels": [32, 128, 512],
            "out_channels": [32, 128, 512],
        },
        start={"in_channels": 128, "out_channels": 128},
    )


def compound_scaling_growth() -> Explorer:
    """Explore EfficientNet-B0 scaled up by the compound scaling rule (slide 65).

    The control is the compound coefficient phi.

    Example:
        >>> list(compound_scaling_growth().controls)
        ['phi']
    """

    @cache
    def scaled(phi: int) -> tuple[Trace, list[tuple[int, int]]]:
        """The trace of the network, and channels and side in pixels of each block's output."""
        scaling = compound_scaling(phi)
        with torch.device("meta"):
            net = EfficientNet(scaling)
        traced = trace(net, round(224 * scaling.resolution))
        blocks = [name for name, module in net.named_modules() if isinstance(module, MBConv)]
        outputs = [traced[f"{name}.project.norm"].output for name in blocks]
        return traced, [(channels, side) for channels, side, _ in outputs]

    def draw(phi: int) -> CourseFigure:
        fig = figure(1, 2, width=7.5, height=3)
        traced, blocks = scaled(phi)
        block_skyline(fig.axes[0], blocks)
        largest = scaled(LARGEST_PHI)[1]
        fig.axes[0].set_xlim(0, len(largest) + 1)
        fig.axes[0].set_ylim(0, 1.1 * max(channels for channels, _ in largest))
        scaling, base = compound_scaling(phi), scaled(0)[0]
        factors = {
            "depth": scaling.depth,
            "width": scaling.width,
            "resolution": scaling.resolution,
            "parameters": traced.parameters / base.parameters,
            "MACs": traced.macs / base.macs,
        }
        ax = layer_bars(fig.axes[1], list(factors), list(factors.values()), "times B0")
        ax.set_xscale("log", base=2)
        ax.set_xlim(0.5, 150)
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        return fig

    def describe(phi: int) -> str:
        traced, blocks = scaled(phi)
        scaling, base = compound_scaling(phi), scaled(0)[0]
        return (
            f"phi {phi}: depth x {scaling.depth:.2f} ({len(blocks)} blocks), width x "
            f"{scaling.width:.2f}, images of {traced.input_shape[-1]} pixels (x "
            f"{scaling.resolution:.2f}). The rule predicts {scaling.cost:.1f} times B0's MACs. The "
            f"resulting network has {traced.macs / base.macs:.1f} times as many, "
            f"{traced.macs / 1e9:.2f} billion, and {traced.parameters / 1e6:.1f} million "
            "parameters. Depths are rounded up, widths to multiples of 8."
        )

    return Explorer(
        "Compound scaling of EfficientNet",
        draw,
        describe,
        {"phi": list(range(LARGEST_PHI + 1))},
        start={"phi": 1},
    )
