"""Student blocks, right and wrong, as small changes of one right block."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Basic(nn.Module):
    """A right basic block; the methods are what the others change."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.needs_projection = in_channels != out_channels or stride != 1
        self.build(in_channels, out_channels, stride)

    def build(self, i: int, o: int, stride: int) -> None:
        self.conv1 = nn.Conv2d(i, o, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(o, o, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(o)
        self.bn2 = nn.BatchNorm2d(o)
        self.shortcut = self.make_shortcut(i, o, stride)

    def make_shortcut(self, i: int, o: int, stride: int) -> nn.Module:
        return self.project(i, o, stride) if self.needs_projection else nn.Identity()

    def project(self, i: int, o: int, stride: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))

    def branch(self, x: Tensor) -> Tensor:
        return self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.branch(x) + self.shortcut(x))


class WithBiases(Basic):
    def build(self, i, o, stride):
        super().build(i, o, stride)
        self.conv1 = nn.Conv2d(i, o, 3, stride, 1)
        self.conv2 = nn.Conv2d(o, o, 3, padding="same")


class RegisteredBackwards(Basic):
    def build(self, i, o, stride):
        self.skip = self.make_shortcut(i, o, stride)
        self.d = nn.BatchNorm2d(o)
        self.c = nn.Conv2d(o, o, 3, 1, 1, bias=False)
        self.b = nn.BatchNorm2d(o)
        self.a = nn.Conv2d(i, o, 3, stride, 1, bias=False)

    def forward(self, x):
        out = self.d(self.c(self.b(self.a(x)).clamp(min=0)))
        return (out + self.skip(x)).clamp(min=0)


class InPlace(Basic):
    def forward(self, x):
        out = self.bn1(self.conv1(x)).relu_()
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return out.relu_()


class OneSequential(Basic):
    def build(self, i, o, stride):
        super().build(i, o, stride)
        relu = nn.ReLU(inplace=True)
        self.path = nn.Sequential(self.conv1, self.bn1, relu, self.conv2, self.bn2)
        del self.conv1, self.conv2, self.bn1, self.bn2

    def branch(self, x):
        return self.path(x)


class Chatty(Basic):
    def forward(self, x):
        import warnings

        print("shape", x.shape)
        warnings.warn("careful", stacklevel=1)
        return super().forward(x)


class ReluBeforeAddition(Basic):
    def forward(self, x):
        return F.relu(self.branch(x)) + self.shortcut(x)


class NoLastRelu(Basic):
    def forward(self, x):
        return self.branch(x) + self.shortcut(x)


class NoShortcut(Basic):
    def make_shortcut(self, i, o, stride):
        return nn.Identity()

    def forward(self, x):
        return F.relu(self.branch(x))


class ProjectsAlways(Basic):
    def make_shortcut(self, i, o, stride):
        return self.project(i, o, stride)


class ShortcutWithoutNorm(Basic):
    def project(self, i, o, stride):
        return nn.Conv2d(i, o, 1, stride, bias=False)


class StrideOnBoth(Basic):
    def build(self, i, o, stride):
        super().build(i, o, stride)
        self.conv2 = nn.Conv2d(o, o, 3, stride, 1, bias=False)


class StrideMissingOnShortcut(Basic):
    def project(self, i, o, stride):
        return super().project(i, o, 1)


class IdentityOnly(Basic):
    def make_shortcut(self, i, o, stride):
        return nn.Identity()


class ProjectsForChannelsOnly(Basic):
    def make_shortcut(self, i, o, stride):
        return self.project(i, o, stride) if i != o else nn.Identity()


class NoNormAtAll(Basic):
    def build(self, i, o, stride):
        super().build(i, o, stride)
        self.bn1 = self.bn2 = nn.Identity()


class SharedNorm(Basic):
    def build(self, i, o, stride):
        super().build(i, o, stride)
        self.bn2 = self.bn1


class PlainList(Basic):
    def build(self, i, o, stride):
        super().build(i, o, stride)
        self.layers = [self.conv1, self.conv2, self.bn1, self.bn2, self.shortcut]
        del self.conv1, self.conv2, self.bn1, self.bn2, self.shortcut

    def forward(self, x):
        conv1, conv2, bn1, bn2, shortcut = (layer.to(x.dtype) for layer in self.layers)
        return F.relu(bn2(conv2(F.relu(bn1(conv1(x))))) + shortcut(x))


class UnusedLayer(Basic):
    def build(self, i, o, stride):
        super().build(i, o, stride)
        self.left_over = nn.Linear(3, 3)


class ChangesItsInput(Basic):
    def forward(self, x):
        out = super().forward(x)
        x.zero_()
        return out


class StopsTheGradient(Basic):
    def forward(self, x):
        return F.relu(self.branch(x) + self.shortcut(x).detach())


class AlwaysInEvalMode(Basic):
    def train(self, mode=True):
        return super().train(False)


class StridesAfterTheShortcutsNorm(Basic):
    """The same values in eval mode, but batch norm sees pixels that are thrown away."""

    def project(self, i, o, stride):
        return nn.Sequential(super().project(i, o, 1), nn.MaxPool2d(1, stride))


class OnlyEvenSizes(Basic):
    def forward(self, x):
        return super().forward(x)[:, :, : x.shape[2] // 2 * 2]


class ReturnsATuple(Basic):
    def forward(self, x):
        return super().forward(x), x


class RaisesInForward(Basic):
    def forward(self, x):
        raise KeyError("conv3")


class RaisesInInit(Basic):
    def build(self, i, o, stride):
        raise ValueError("channels?")


class NotWritten(Basic):
    def build(self, i, o, stride):
        raise NotImplementedError


class Quits(Basic):
    def forward(self, x):
        raise SystemExit


class NoModule:
    def __init__(self, in_channels, out_channels, stride=1):
        pass


class Narrow(nn.Module):
    """A right bottleneck; `stride_first` chooses which convolution has the stride."""

    stride_first = False

    def __init__(self, in_channels: int, mid_channels: int, stride: int = 1) -> None:
        super().__init__()
        first, second = (stride, 1) if self.stride_first else (1, stride)
        out_channels = 4 * mid_channels
        self.convs = nn.ModuleList(
            [
                nn.Conv2d(in_channels, mid_channels, 1, first),
                nn.Conv2d(mid_channels, mid_channels, 3, second, 1),
                nn.Conv2d(mid_channels, out_channels, 1),
            ]
        )
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(width) for width in (mid_channels, mid_channels, out_channels)
        )
        self.shortcut = Basic.project(self, in_channels, out_channels, stride)
        if in_channels == out_channels and stride == 1:
            self.shortcut = nn.Identity()

    def branch(self, x: Tensor) -> Tensor:
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = norm(conv(x if conv is self.convs[0] else F.relu(x)))
        return x

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.branch(x) + self.shortcut(x))


class StrideFirst(Narrow):
    stride_first = True


class NarrowReluBeforeAddition(StrideFirst):
    def forward(self, x):
        return F.relu(self.branch(x)) + self.shortcut(x)


class NarrowWithoutExpansion(nn.Module):
    def __init__(self, in_channels, mid_channels, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, mid_channels, 3, stride, 1)

    def forward(self, x):
        return torch.relu(self.conv(x))
