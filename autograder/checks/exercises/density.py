"""Hidden tests of DenseNet's layer, block and transition (slides 56 to 59)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, max_pool2d, relu

from autograder.checks.blocks import BlockExercise, Build, Mistake, case
from autograder.checks.exercises.parts import ALL_BUT_SHAPES, conv, norm


class DenseLayer(nn.Module):
    """The reference that other exercises may use: (N, C, H, W) -> (N, C + growth_rate, H, W).

    Its source is run on the student's side, so it uses no names of this module.
    """

    def __init__(self, in_channels: int, growth_rate: int, bottleneck: int = 4) -> None:
        super().__init__()
        width = bottleneck * growth_rate
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, growth_rate, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        new = self.conv1(torch.relu(self.norm1(x)))
        new = self.conv2(torch.relu(self.norm2(new)))
        return torch.cat([x, new], dim=1)


class _Joined(nn.Module):
    """A dense layer whose new features are joined with its input in some way."""

    def __init__(self, new: nn.Module, join: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.new, self.join = new, join

    def forward(self, x: Tensor) -> Tensor:
        return self.join(x, self.new(x))


def _input_first(x: Tensor, new: Tensor) -> Tensor:
    return torch.cat([x, new], dim=1)


def _input_last(x: Tensor, new: Tensor) -> Tensor:
    return torch.cat([new, x], dim=1)


def _new_alone(x: Tensor, new: Tensor) -> Tensor:
    return new


def _pre(in_channels: int, growth_rate: int, bottleneck: int = 4) -> nn.Sequential:
    width = bottleneck * growth_rate
    return nn.Sequential(
        norm(in_channels),
        nn.ReLU(),
        conv(in_channels, width, 1),
        norm(width),
        nn.ReLU(),
        conv(width, growth_rate, 3),
    )


def _post(in_channels: int, growth_rate: int, bottleneck: int = 4) -> nn.Sequential:
    width = bottleneck * growth_rate
    return nn.Sequential(
        conv(in_channels, width, 1),
        norm(width),
        nn.ReLU(),
        conv(width, growth_rate, 3),
        norm(growth_rate),
        nn.ReLU(),
    )


def _without_bottleneck(in_channels: int, growth_rate: int, bottleneck: int = 4) -> nn.Sequential:
    return nn.Sequential(norm(in_channels), nn.ReLU(), conv(in_channels, growth_rate, 3))


def _without(kind: type[nn.Module]) -> Build:
    def build(in_channels: int, growth_rate: int, bottleneck: int = 4) -> nn.Module:
        layers = _pre(in_channels, growth_rate, bottleneck)
        return nn.Sequential(*(layer for layer in layers if not isinstance(layer, kind)))

    return build


def _layer(new: Build, join: Callable[[Tensor, Tensor], Tensor] = _input_first) -> Build:
    def build(*sizes: int, **options: int) -> nn.Module:
        return _Joined(new(*sizes, **options), join)

    return build


POST = (
    "Batch norm and ReLU follow the convolutions: in a dense layer they come first, because its "
    "input is a concatenation that has not been normalised (slide 57)."
)
WRONG_LAYERS: tuple[tuple[str, frozenset[str], Build], ...] = (
    (
        "The new features come before the input: the input comes first, so that every feature "
        "keeps its place in all later layers (slide 57).",
        frozenset({"values"}),
        _layer(_pre, _input_last),
    ),
    (POST, ALL_BUT_SHAPES, _layer(_post)),
    (
        "There is no 1x1 bottleneck, which reduces the many input channels before the 3x3 "
        "convolution (slide 58).",
        frozenset({"parameters", "values"}),
        _layer(_without_bottleneck),
    ),
    (
        "The ReLUs are missing: one follows each batch norm (slide 57).",
        frozenset({"values"}),
        _layer(_without(nn.ReLU)),
    ),
    (
        "Batch norm is missing: it comes before each ReLU and convolution (slide 57).",
        ALL_BUT_SHAPES,
        _layer(_without(nn.BatchNorm2d)),
    ),
    (
        "The layer returns only the new features: a dense layer returns its input as well (slide "
        "56).",
        frozenset({"shapes", "values"}),
        _layer(_pre, _new_alone),
    ),
)
DENSE_LAYER = BlockExercise(
    "dense_layer",
    "DenseLayer",
    (case(5, 3), case(8, 2, bottleneck=2), case(6, 4)),
    (0.25, 0.75, 1.25, 0.5, 0.25),
    references=(DenseLayer,),
    mistakes=tuple(Mistake(*entry) for entry in WRONG_LAYERS),
)


class _Block(nn.Module):
    """Dense layers in sequence."""

    def __init__(
        self,
        layer: Build,
        num_layers: int,
        in_channels: int,
        growth_rate: int,
        bottleneck: int = 4,
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(
                layer(in_channels + i * growth_rate, growth_rate, bottleneck=bottleneck)
                for i in range(num_layers)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class _OnlyNew(_Block):
    """A dense block that leaves out its own input."""

    def __init__(self, num_layers: int, in_channels: int, *sizes: int, **options: int) -> None:
        super().__init__(DenseLayer, num_layers, in_channels, *sizes, **options)
        self.in_channels = in_channels

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)[:, self.in_channels :]


class _Chain(nn.Module):
    """A block in which each layer sees only the one before it; all outputs are concatenated."""

    def __init__(
        self, num_layers: int, in_channels: int, growth_rate: int, bottleneck: int = 4
    ) -> None:
        super().__init__()
        inputs = [in_channels] + [growth_rate] * (num_layers - 1)
        self.layers = nn.ModuleList(_pre(size, growth_rate, bottleneck) for size in inputs)

    def forward(self, x: Tensor) -> Tensor:
        features = [x]
        for layer in self.layers:
            features.append(layer(features[-1]))
        return torch.cat(features, dim=1)


def _block_of(layer: Build) -> Build:
    return lambda *sizes, **options: _Block(layer, *sizes, **options)


DENSE_BLOCK = BlockExercise(
    "dense_block",
    "DenseBlock",
    (
        case(2, 5, 3, channels=5),
        case(3, 5, 2, channels=5),
        case(2, 4, 3, bottleneck=2, channels=4),
    ),
    (0.25, 0.75, 1.25, 0.5, 0.25),
    references=(_block_of(DenseLayer),),
    mistakes=(
        Mistake(
            "Each layer sees only the layer before it: in a dense block it sees the block's input "
            "and the features of all layers before it (slide 56).",
            frozenset({"parameters", "values"}),
            _Chain,
        ),
        Mistake(
            "The block leaves out its own input: it returns its input and the features of all its "
            "layers (slide 56).",
            frozenset({"shapes", "values"}),
            _OnlyNew,
        ),
        *(
            Mistake(sentence, costs, _block_of(layer))
            for sentence, costs, layer in WRONG_LAYERS[:5]
        ),
    ),
    builds_on={"DenseLayer": DenseLayer},
)


class _Pool(nn.Module):
    def __init__(self, pool: Callable[..., Tensor], size: int = 2, padding: int = 0) -> None:
        super().__init__()
        self.pool, self.size, self.padding = pool, size, padding

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(x, self.size, 2, self.padding)


def _transition(in_channels: int, out_channels: int) -> nn.Module:
    return nn.Sequential(
        norm(in_channels), nn.ReLU(), conv(in_channels, out_channels, 1), _Pool(avg_pool2d)
    )


def _max_pool(in_channels: int, out_channels: int) -> nn.Module:
    return nn.Sequential(
        norm(in_channels), nn.ReLU(), conv(in_channels, out_channels, 1), _Pool(max_pool2d)
    )


def _no_relu(in_channels: int, out_channels: int) -> nn.Module:
    return nn.Sequential(norm(in_channels), conv(in_channels, out_channels, 1), _Pool(avg_pool2d))


def _post_transition(in_channels: int, out_channels: int) -> nn.Module:
    return nn.Sequential(
        conv(in_channels, out_channels, 1), norm(out_channels), nn.ReLU(), _Pool(avg_pool2d)
    )


def _strided(in_channels: int, out_channels: int) -> nn.Module:
    return nn.Sequential(norm(in_channels), nn.ReLU(), conv(in_channels, out_channels, 1, 2))


def _no_pool(in_channels: int, out_channels: int) -> nn.Module:
    return nn.Sequential(norm(in_channels), nn.ReLU(), conv(in_channels, out_channels, 1))


def _no_norm(in_channels: int, out_channels: int) -> nn.Module:
    return nn.Sequential(nn.ReLU(), conv(in_channels, out_channels, 1), _Pool(avg_pool2d))


class _PooledFirst(nn.Module):
    """A transition that pools before batch norm."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm, self.conv = norm(in_channels), conv(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(relu(self.norm(avg_pool2d(x, 2))))


TRANSITION = BlockExercise(
    "transition",
    "Transition",
    (case(6, 3), case(8, 4), case(5, 7)),
    (0.25, 0.25, 0.75, 0.25, 0.5),
    references=(_transition,),
    mistakes=(
        Mistake(
            "The transition uses max pooling: it should use average pooling, so that every "
            "position contributes (slide 59).",
            frozenset({"values"}),
            _max_pool,
        ),
        Mistake(
            "The ReLU is missing: it follows batch norm (slide 59).",
            frozenset({"values"}),
            _no_relu,
        ),
        Mistake(
            "Batch norm and ReLU follow the convolution: in a DenseNet they come before it "
            "(slide 59).",
            ALL_BUT_SHAPES,
            _post_transition,
        ),
        Mistake(
            "The convolution has a stride and skips pixels: the transition averages them (slide "
            "59).",
            frozenset({"values"}),
            _strided,
        ),
        Mistake(
            "There is no pooling: average pooling halves the maps between dense blocks (slide 59).",
            frozenset({"shapes", "values", "gradients"}),
            _no_pool,
        ),
        Mistake(
            "Batch norm is missing: the transition starts with it (slide 59).",
            ALL_BUT_SHAPES,
            _no_norm,
        ),
        Mistake(
            "The maps are pooled before batch norm and ReLU: pooling comes last (slide 59).",
            frozenset({"values", "gradients", "modes"}),
            _PooledFirst,
        ),
    ),
)
EXERCISES = (DENSE_LAYER, DENSE_BLOCK, TRANSITION)
