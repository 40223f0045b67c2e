"""Networks of random operations, and what their values see according to the gradient."""

from collections.abc import Callable
from random import Random

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIDE = 12
Step = Callable[[Tensor], Tensor]


def _weights(random: Random, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(random.randrange(10**6)))


def _convolution(random: Random, x: Tensor) -> Step:
    channels = x.shape[1]
    groups = random.choice([g for g in (1, 1, 2, channels) if channels % g == 0])
    kernel = (random.choice((1, 2, 3)), random.choice((1, 3, 3)))
    weight = _weights(random, channels, channels // groups, *kernel)
    stride, padding, dilation = (random.choice(v) for v in ((1, 1, 2), (0, 1, 2), (1, 1, 2)))
    return lambda x: F.conv2d(x, weight.to(x), None, stride, padding, dilation, groups)


def _max_pool(random: Random, x: Tensor) -> Step:
    kernel, stride, dilation = random.choice((2, 3)), random.choice((1, 2)), random.choice((1, 2))
    ceil = random.random() < 0.5
    return lambda x: F.max_pool2d(x, kernel, stride, kernel // 2, dilation, ceil)


def _average_pool(random: Random, x: Tensor) -> Step:
    kernel, stride = random.choice((2, 3)), random.choice((1, 2))
    return lambda x: F.avg_pool2d(x, kernel, stride, kernel // 2)


def _adaptive_pool(random: Random, x: Tensor) -> Step:
    size = random.choice((2, 3, 5, 6))
    pool = random.choice((F.adaptive_avg_pool2d, F.adaptive_max_pool2d))
    return lambda x: pool(x, size)


def _activation(random: Random, x: Tensor) -> Step:
    return random.choice(
        (
            torch.tanh,
            F.leaky_relu,
            F.gelu,
            lambda x: F.elu_(x.clone()),
            F.mish,
            lambda x: F.glu(x, 1),
        )
    )


def _normalisation(random: Random, x: Tensor) -> Step:
    return random.choice(
        (
            F.instance_norm,
            lambda x: F.group_norm(x, 2 if x.shape[1] % 2 == 0 else 1),
            lambda x: F.layer_norm(x.permute(0, 2, 3, 1), x.shape[1:2]).permute(0, 3, 1, 2),
            lambda x: F.layer_norm(x, x.shape[-1:]),
            lambda x: F.local_response_norm(x, 3),
            lambda x: x / (1 + x.square().sum(1, keepdim=True)),
        )
    )


def _over_a_dimension(random: Random, x: Tensor) -> Step:
    dim = random.choice((1, 2, 3))
    return random.choice(
        (
            lambda x: torch.softmax(x, dim),
            lambda x: x - x.mean(dim, keepdim=True),
            lambda x: x * torch.sigmoid(x.amax(dim, keepdim=True)),
            lambda x: x + x.sum(dim).unsqueeze(dim),
            lambda x: x.cumsum(dim),
            lambda x: x.flip(dim),
            lambda x: x.roll(1, dim),
        )
    )


def _gate(random: Random, x: Tensor) -> Step:
    weight = _weights(random, x.shape[1], x.shape[1])
    return lambda x: x * torch.sigmoid(x.mean((2, 3)) @ weight.to(x))[:, :, None, None]


def _rearranged(random: Random, x: Tensor) -> Step:
    _, c, h, w = x.shape
    steps: list[Step] = [
        lambda x: x.transpose(2, 3),
        lambda x: x.flatten(2).unflatten(2, (h, w)).contiguous(),
        lambda x: x.flatten(2).transpose(1, 2).reshape(-1, h, w, c).permute(0, 3, 1, 2),
        lambda x: x[:, list(reversed(range(c)))],
        lambda x: x[:, : max(1, c // 2)],
        lambda x: x[:, :, ::2, ::2],
        lambda x: x[..., 1:, 1:],
        lambda x: F.pad(x, (1, 2, 1, 2)),
        lambda x: F.pad(x, (1, 0, 1, 0), mode="replicate"),
        lambda x: x.repeat(1, 2, 1, 1),
        lambda x: F.interpolate(x, scale_factor=2),
        lambda x: torch.stack([x, 2 * x], 1).flatten(1, 2),
        lambda x: torch.cat(x.chunk(2, 2)[::-1], 2),
        lambda x: torch.cat(x.chunk(2, 3), 3),
        lambda x: torch.cat(x.chunk(2, 1)[::-1], 1),
    ]
    if c == h == w:
        steps += [lambda x: x.transpose(1, 2), lambda x: x.permute(0, 3, 1, 2)] * 3
    if c % 2 == 0:
        steps.append(lambda x: x.unflatten(1, (2, -1)).transpose(1, 2).flatten(1, 2))
    if c % 4 == 0:
        steps.append(lambda x: F.pixel_shuffle(x, 2))
    if h % 2 == 0 and w % 2 == 0:
        steps.append(lambda x: F.pixel_unshuffle(x, 2))
        steps.append(lambda x: x.unflatten(3, (-1, 2)).mean(4).unflatten(2, (-1, 2)).sum(3))
    return random.choice(steps)


def _mixed(random: Random, x: Tensor) -> Step:
    weight = _weights(random, x.shape[-1], x.shape[-1])
    return random.choice(
        (lambda x: x @ weight.to(x), lambda x: x @ x.transpose(-1, -2) / 10, lambda x: x * 2)
    )


STEPS = (
    *(_convolution, _convolution, _convolution, _max_pool, _average_pool, _adaptive_pool),
    *(_activation, _normalisation, _over_a_dimension, _gate, _rearranged, _rearranged, _mixed),
)


class RandomGraph(nn.Module):
    """Random steps, of which each takes the output of an earlier one, some after a second one."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        random = Random(seed)
        self.in_channels = random.choice((2, 4, SIDE))
        self.last = nn.Identity()
        self.steps: list[tuple[Step, int, int, str]] = []
        outputs = [torch.zeros(2, self.in_channels, SIDE, SIDE)]
        for _ in range(random.randint(1, 6)):
            taken = max(0, len(outputs) - random.choice((1, 1, 2)))
            step = random.choice(STEPS)(random, outputs[taken])
            other, how = (
                random.randrange(len(outputs)),
                random.choice(("", "", "add", "cat", "mul")),
            )
            try:
                output = self._apply(outputs, step, taken, other, how)
            except (RuntimeError, ValueError):
                how = ""
                try:
                    output = self._apply(outputs, step, taken, other, how)
                except (RuntimeError, ValueError):
                    continue
            if 0 < output.numel() < 10**5 and min(output.shape[2:]) > 1:
                outputs.append(output)
                self.steps.append((step, taken, other, how))

    def _apply(self, outputs: list[Tensor], step: Step, taken: int, other: int, how: str) -> Tensor:
        y = step(outputs[taken])
        if how == "cat":
            return torch.cat([y, outputs[other]], 1)
        if how == "add":
            return y + outputs[other]
        return y * outputs[other] if how == "mul" else y

    def forward(self, x: Tensor) -> Tensor:
        outputs = [x]
        for step in self.steps:
            outputs.append(self._apply(outputs, *step))
        return self.last(outputs[-1])


def pixels_with_a_gradient(net: RandomGraph, places: dict[int, int]) -> list[tuple[int, int]]:
    """First and last row, and first and last column, that some output values of `net` see.

    Args:
        net: what to differentiate, for many random images: every value wins in its pool once.
        places: chooses the values, by dimension.
    """
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(
        48, net.in_channels, SIDE, SIDE, generator=generator, dtype=torch.float64
    ).requires_grad_()
    values = net(image)
    for dim, place in sorted(places.items(), reverse=True):
        values = values.select(dim, place)
    weights = torch.randn(values.shape, generator=generator, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((values * weights).sum(), image)
    seen = gradient.ne(0).any(0).any(0)
    return [
        (int(places.min()), int(places.max()))
        for places in (seen.any(1).nonzero(), seen.any(0).nonzero())
    ]
