"""Figures that we cannot compute, because the authors of a paper measured or chose them.

Errors that the cards hold (`convnets.card`) are not repeated here.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Training:
    """How a paper trained its network on ImageNet, by stochastic gradient descent."""

    source: str
    batch_size: int
    momentum: float
    learning_rate: float
    divided_by: int
    """Divisor of the learning rate when the validation error stops improving."""
    weight_decay: float
    dropout: float
    """Dropout rate after the first two fully connected layers."""
    initialization: str


TRAINING = {
    "alexnet": Training(
        "Krizhevsky et al., 2012, section 5", 128, 0.9, 0.01, 10, 0.0005, 0.5, "normal"
    ),
    "vgg": Training(
        "Simonyan & Zisserman, 2015, section 3.1", 256, 0.9, 0.01, 10, 0.0005, 0.5, "normal"
    ),
    "resnet": Training("He et al., 2016, section 3.4", 256, 0.9, 0.1, 10, 0.0001, 0.0, "Kaiming"),
}


@dataclass(frozen=True)
class Winner:
    """The best entry for classification of one ILSVRC, among those that used no other data."""

    year: int
    team: str
    network: str | None
    """The convolutional network; `None` in the years before the first one."""
    models: tuple[str, ...] = ()
    """The families in an ensemble that mixes several."""


# Up to 2014: Russakovsky et al., 2015, table 5. From 2015: results pages on image-net.org.
WINNERS = (
    Winner(2010, "NEC", None),
    Winner(2011, "XRCE", None),
    Winner(2012, "SuperVision", "AlexNet"),
    Winner(2013, "Clarifai", "ZFNet"),
    Winner(2014, "GoogLeNet", "GoogLeNet"),
    Winner(2015, "MSRA", "ResNet"),
    Winner(
        2016,
        "Trimps-Soushen",
        "ensemble",
        ("Inception", "Inception-ResNet", "ResNet", "Wide ResNet"),
    ),
    Winner(2017, "WMW", "SENet"),
)

VGG_PLACES = {"classification": 2, "localization": 1}
"""Places in ILSVRC 2014: Simonyan & Zisserman, 2015, abstract."""
VGG_TEAM = "Visual Geometry Group"
"""Simonyan & Zisserman, 2015, title page. The team's name in the challenge was VGG."""
VGG11_TOP1_ERROR = {"without LRN": 29.6, "with LRN": 29.7}
"""Top-1 error in percent at one scale of configurations A-LRN and A: Simonyan & Zisserman, 2015,
table 3."""
VGG_LOSS_BY_5X5 = 7.0
"""Percentage points by which one 5x5 layer has a higher top-1 error than a pair of 3x3 layers:
Simonyan & Zisserman, 2015, section 4.1."""
GOOGLENET_CHALLENGE_ERROR = 6.67
"""Top-5 error in percent of an ensemble of seven networks on 144 crops: Szegedy et al., 2015,
section 8."""
FIRST_RELU = 2010
"""Year of the paper by Nair & Hinton that the AlexNet paper cites for the rectifier."""
PLAIN34_TRAINS_WORSE = True
"""Plain-34 has a higher training error than plain-18 throughout: He et al., 2016, section 4.1."""
RESNET34_TOP1_ERROR = {"A": 25.03, "C": 24.19}
"""Top-1 error in percent with shortcuts A and C on 10 crops: He et al., 2016, table 3. The card has
the error with shortcuts B."""
SENET_BASELINE_TOP1_ERROR = 24.80
"""Top-1 error in percent of ResNet-50 as trained for comparison with SE-ResNet-50: Hu et al., 2018,
table 2."""
RESNEXT_BASELINE_TOP1_ERROR = 23.9
"""Top-1 error in percent of ResNet-50 as trained for comparison with ResNeXt-50: Xie et al., 2017,
table 3."""
SINGLE_CROP_TOP1_ERROR = {"WRN-50-2": 21.9, "ResNet-152": 22.16}
"""Top-1 error in percent on one crop: Zagoruyko & Komodakis, 2016, table 8."""
TIME_OF_A_BATCH = {"WRN-50-2": 93, "ResNet-152": 115}
"""Milliseconds of forward and backward pass for 16 images on one GPU: Zagoruyko & Komodakis, 2016,
table 8."""
MOBILENET_TOP1_ACCURACY = {"convolutions": 71.7, "depthwise separable": 70.6}
"""Top-1 accuracy in percent: Howard et al., 2017, table 4."""
COMPOUND_SCALING = (1.2, 1.1, 1.15)
"""The constants alpha, beta and gamma that the grid search found: Tan & Le, 2019, section 3.3."""
ARXIV = {"VGG": "1409.1556"}
"""Identifiers on arxiv.org of papers for which the lecture gives an address."""
