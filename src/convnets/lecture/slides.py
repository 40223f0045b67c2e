"""The slides of the lecture in order, and the section of the course that covers each."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Slide:
    """A slide and the section of the course that covers it."""

    slide: int
    title: str
    chapter: str
    """Path of the page without suffix, as in `_toc.yml`."""
    section: str
    """Identifier of the heading on that page."""


_ALEXNET = "chapters/01_alexnet"
_ACTIVATIONS = "chapters/02_activations"
_VGG = "chapters/03_vgg"
_GOOGLENET = "chapters/04_googlenet"
_ONE_BY_ONE = "chapters/05_one_by_one"
_DEGRADATION = "chapters/06_degradation"
_RESNET = "chapters/07_resnet"
_SENET = "chapters/08_senet"
_COMPARISON = "chapters/09_comparison"
_WIDE = "chapters/10_wide_resnet_resnext"
_DENSENET = "chapters/11_densenet"
_MOBILE = "chapters/12_mobilenet_shufflenet"
_SEARCH = "chapters/13_architecture_search"
_EFFICIENTNET = "chapters/14_efficientnet"
_CONCLUSIONS = "chapters/15_conclusions"

_SLIDES = (
    ("CNN Architectures", _ALEXNET, "one-network-eight-lines"),
    ("ALEXNET", _ALEXNET, "one-network-eight-lines"),
    ("ILSVRC Winners", _ALEXNET, "one-network-eight-lines"),
    ("AlexNet", _ALEXNET, "the-walk-through-the-network"),
    ("AlexNet: CONV1", _ALEXNET, "how-many-parameters-how-much-work"),
    ("AlexNet: POOL1", _ALEXNET, "how-large-is-the-output"),
    ("AlexNet: CONV2", _ALEXNET, "two-towers"),
    ("AlexNet: architecture", _ALEXNET, "what-else-was-new"),
    ("ReLU vs. Sigmoid", _ACTIVATIONS, "why-gradients-vanish"),
    ("ReLU vs. Sigmoid: pros and cons", _ACTIVATIONS, "does-relu-solve-it"),
    ("Variants of ReLU: Leaky ReLU, PReLU", _ACTIVATIONS, "the-variants"),
    ("Variants of ReLU: ELU, SELU", _ACTIVATIONS, "the-variants"),
    ("ILSVRC Winners", _VGG, "big-windows-or-small-ones"),
    ("ZFNet", _VGG, "big-windows-or-small-ones"),
    ("VGG", _VGG, "big-windows-or-small-ones"),
    ("ILSVRC Winners", _VGG, "big-windows-or-small-ones"),
    ("VGG: contribution", _VGG, "big-windows-or-small-ones"),
    ("VGG: stacks of 3x3", _VGG, "what-the-small-filters-save"),
    ("VGG: details", _VGG, "in-practice-today"),
    ("VGG: memory and parameters", _VGG, "where-memory-and-parameters-go"),
    ("GOOGLENET", _GOOGLENET, "larger-and-then"),
    ("ILSVRC Winners", _GOOGLENET, "larger-and-then"),
    ("Motivation", _GOOGLENET, "larger-and-then"),
    ("Sparsity", _GOOGLENET, "sparse-but-dense"),
    ("Inception", _GOOGLENET, "the-naive-module"),
    ("Inception Module: parallel filters", _GOOGLENET, "the-naive-module"),
    ("Inception Module: scales", _GOOGLENET, "the-naive-module"),
    ("Inception Module: parameters", _GOOGLENET, "the-naive-module"),
    ("1x1 Convolution Filter", _ONE_BY_ONE, "mixing-maps"),
    ("1x1 Convolution Filter: parameters", _ONE_BY_ONE, "mixing-maps"),
    ("Inception Module: reduction", _ONE_BY_ONE, "the-module-with-reductions"),
    ("GoogLeNet", _GOOGLENET, "the-walk-through-the-network"),
    ("GoogLeNet: parts", _GOOGLENET, "the-walk-through-the-network"),
    ("GoogLeNet: average pooling", _GOOGLENET, "an-average-for-a-classifier"),
    ("GoogLeNet: summary", _GOOGLENET, "how-small-is-it"),
    ("RESNET", _DEGRADATION, "the-deeper-the-better"),
    ("ILSVRC Winners", _DEGRADATION, "the-deeper-the-better"),
    ("The Deeper The Better? Degradation", _DEGRADATION, "the-deeper-the-better"),
    ("The Deeper The Better? Hypothesis", _DEGRADATION, "a-deeper-network-that-is-no-worse"),
    ("ResNet Building Block", _RESNET, "learn-what-to-add"),
    ("Rationale behind ResNet", _RESNET, "why-it-helps"),  # codespell:ignore behind
    ("ResNet Architectures: ResNet-34", _RESNET, "the-walk-through-the-network"),
    ("Deeper Bottleneck Architectures", _RESNET, "the-bottleneck"),
    ("ResNet Architectures", _RESNET, "the-walk-through-the-network"),
    ("ResNet Training", _RESNET, "training"),
    ("ILSVRC Model Comparison", _COMPARISON, "accuracy-against-cost"),
    ("ILSVRC: ensemble", _COMPARISON, "ensembles"),
    ("ILSVRC: the end", _COMPARISON, "after-2017"),
    ("SENet: the module", _SENET, "squeeze-excite-scale"),
    ("SENet: with Inception and ResNet", _SENET, "a-gate-for-any-block"),
    ("RECENT ADVANCES", _WIDE, "three-directions"),
    ("Directions", _WIDE, "three-directions"),
    ("Directions: accuracy", _WIDE, "three-directions"),
    ("Wide ResNet", _WIDE, "wide-resnet"),
    ("ResNeXt", _WIDE, "resnext"),
    ("DenseNet: motivation", _DENSENET, "why-add-when-you-can-keep"),
    ("DenseNet: connections", _DENSENET, "the-dense-block"),
    ("DenseNet: advantages", _DENSENET, "fewer-parameters"),
    ("DenseNet: feature reuse", _DENSENET, "experiment-which-layer-reads-which"),
    ("Directions: efficiency", _MOBILE, "small-networks"),
    ("MobileNet", _MOBILE, "depthwise-and-pointwise"),
    ("ShuffleNet", _MOBILE, "groups-and-a-shuffle"),
    ("Directions: architecture search", _SEARCH, "who-designs-the-network"),
    ("NAS", _SEARCH, "a-network-that-writes-networks"),
    ("EfficientNet", _EFFICIENTNET, "scale-everything-at-once"),
    ("Conclusion", _CONCLUSIONS, "five-questions"),
    ("Suggested Reading", "references", "suggested-reading"),
    ("Assignment 2", "guides/assignment2", "assignment-2"),
    ("Thank you!", _CONCLUSIONS, "where-to-go-from-here"),
)


def slides() -> list[Slide]:
    """List the 69 slides in order, each with the page and section that cover it.

    Example:
        >>> len(slides())
        69
    """
    return [Slide(number, *columns) for number, columns in enumerate(_SLIDES, start=1)]
