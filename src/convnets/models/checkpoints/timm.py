"""timm's networks that have the layers of ours.

Its published Inception weights expect pixels from -1 to 1.
"""

from convnets.layers import ImageClassifier
from convnets.models.checkpoints import torchvision
from convnets.models.checkpoints.renaming import (
    PublicNetwork,
    Rename,
    bn_is_norm,
    by_number,
    by_rules,
)


def _branches(theirs: str, ours: str) -> tuple[tuple[str, str], ...]:
    """Rules for the branches of an Inception module, which both packages count from 0."""
    return (
        (theirs + r"branch(?P<b>\d)\.(?P<i>\d)\.", ours + r"branches.\g<b>.\g<i>."),
        (theirs + r"branch(?P<b>\d)_(?P<i>\d)a\.", ours + r"branches.\g<b>.\g<i>.branches.0.0."),
        (theirs + r"branch(?P<b>\d)_(?P<i>\d)b\.", ours + r"branches.\g<b>.\g<i>.branches.1.0."),
        (theirs + r"branch(?P<b>\d)_(?P<i>\d)\.", ours + r"branches.\g<b>.\g<i>."),
        (theirs + r"branch(?P<b>\d)\.", ours + r"branches.\g<b>.0."),
    )


# Our names of the parts of Inception-v4, in the order in which timm numbers them.
INCEPTION_V4_PARTS = (
    *("conv1", "conv2", "conv3", "stem1", "stem2", "stem3"),
    *(f"inception_a.{i}" for i in range(4)),
    "reduction_a",
    *(f"inception_b.{i}" for i in range(7)),
    "reduction_b",
    *(f"inception_c.{i}" for i in range(3)),
)
INCEPTION_V4 = bn_is_norm(
    by_rules(
        *((rf"features\.{i}\.(conv|norm)\.", rf"features.conv{i + 1}.\1.") for i in range(3)),
        (r"features\.3\.conv\.", r"features.stem1.branches.1.0."),
        (r"features\.5\.conv\.", r"features.stem3.branches.0.0."),
        *(
            rule
            for i, part in enumerate(INCEPTION_V4_PARTS)
            for rule in _branches(rf"features\.{i}\.", f"features.{part}.")
        ),
        (r"last_linear\.", r"classifier.fc."),
    )
)
INCEPTION_RESNET_V2 = bn_is_norm(
    by_rules(
        (r"conv2d_1a\.", r"features.conv1."),
        (r"conv2d_2a\.", r"features.conv2."),
        (r"conv2d_2b\.", r"features.conv3."),
        (r"conv2d_3b\.", r"features.conv4."),
        (r"conv2d_4a\.", r"features.conv5."),
        *_branches(r"mixed_5b\.", r"features.mixed."),
        (r"repeat\.(\d+)\.conv2d\.", r"features.block_35.\1.project."),
        *_branches(r"repeat\.(?P<n>\d+)\.", r"features.block_35.\g<n>.residual."),
        *_branches(r"mixed_6a\.", r"features.reduction_a."),
        (r"repeat_1\.(\d+)\.conv2d\.", r"features.block_17.\1.project."),
        *_branches(r"repeat_1\.(?P<n>\d+)\.", r"features.block_17.\g<n>.residual."),
        *_branches(r"mixed_7a\.", r"features.reduction_b."),
        (r"repeat_2\.(\d+)\.conv2d\.", r"features.block_8.\1.project."),
        *_branches(r"repeat_2\.(?P<n>\d+)\.", r"features.block_8.\g<n>.residual."),
        (r"block8\.conv2d\.", r"features.block_8_last.project."),
        *_branches(r"block8\.", r"features.block_8_last.residual."),
        (r"conv2d_7b\.", r"features.conv6."),
        (r"classif\.", r"classifier.fc."),
    )
)
# timm's published weights are for ReLU6. Our network has the paper's ReLU, so its outputs differ
# with these weights.
MOBILENET = by_rules(
    (r"conv_stem\.", r"features.stem.conv."),
    (r"bn1\.", r"features.stem.norm."),
    *(
        rule
        for stage in range(5)
        for rule in (
            (
                rf"blocks\.{stage}\.(\d)\.conv_dw\.",
                rf"features.stage{stage + 1}.\1.depthwise.conv.",
            ),
            (rf"blocks\.{stage}\.(\d)\.bn1\.", rf"features.stage{stage + 1}.\1.depthwise.norm."),
            (
                rf"blocks\.{stage}\.(\d)\.conv_pw\.",
                rf"features.stage{stage + 1}.\1.pointwise.conv.",
            ),
            (rf"blocks\.{stage}\.(\d)\.bn2\.", rf"features.stage{stage + 1}.\1.pointwise.norm."),
        )
    ),
    (r"classifier\.", r"classifier.fc."),
)

PREACT_RESNET = by_rules(
    (r"stem\.conv\.", r"features.stem.conv."),
    *(
        rule
        for stage in range(4)
        for theirs, ours in (
            (rf"stages\.{stage}\.blocks\.(\d+)\.", rf"features.stage{stage + 1}.\1."),
        )
        for rule in (
            (theirs + r"norm1\.", ours + "activation.norm1."),
            (theirs + r"(norm|conv)(\d)\.", ours + r"residual.\2\3."),
            (theirs + r"downsample\.conv\.", ours + "shortcut."),
        )
    ),
    (r"norm\.", r"features.norm."),
    (r"head\.fc\.", r"classifier.fc."),
)
SENET = by_rules(
    (r"layer0\.conv1\.", r"features.stem.conv."),
    (r"layer0\.bn1\.", r"features.stem.norm."),
    (r"layer(\d)\.(\d+)\.conv(\d)\.", r"features.stage\1.\2.residual.conv\3."),
    (r"layer(\d)\.(\d+)\.bn(\d)\.", r"features.stage\1.\2.residual.norm\3."),
    (r"layer(\d)\.(\d+)\.se_module\.fc1\.", r"features.stage\1.\2.residual.gate.reduce."),
    (r"layer(\d)\.(\d+)\.se_module\.fc2\.", r"features.stage\1.\2.residual.gate.expand."),
    (r"layer(\d)\.(\d+)\.downsample\.0\.", r"features.stage\1.\2.shortcut.conv."),
    (r"layer(\d)\.(\d+)\.downsample\.1\.", r"features.stage\1.\2.shortcut.norm."),
    (r"last_linear\.", r"classifier.fc."),
)


def vgg_renamer(net: ImageClassifier) -> Rename:
    """Renames for numbered `features`, and for fully connected layers that are convolutions."""
    numbered = by_number({})(net)
    classifier = by_rules(
        (r"pre_logits\.fc1\.", r"classifier.fc6."),
        (r"pre_logits\.fc2\.", r"classifier.fc7."),
        (r"head\.fc\.", r"classifier.fc8."),
    )(net)
    return lambda key: numbered(key) if key.startswith("features.") else classifier(key)


# MobileNet v2 and EfficientNet; the first stage has no expansion. In B5 to B7, batch norm adds 1e-5
# to the variance in timm, and 1e-3 in the authors' network and in ours.
INVERTED_RESIDUALS = by_rules(
    (r"conv_stem\.", r"features.stem.conv."),
    (r"bn1\.", r"features.stem.norm."),
    (r"conv_head\.", r"features.last.conv."),
    (r"bn2\.", r"features.last.norm."),
    (r"classifier\.", r"classifier.fc."),
    *(
        (rf"blocks\.{stage}\.(\d+)\.{theirs}\.", rf"features.stage{stage + 1}.\1.{ours}.")
        for stage in range(7)
        for theirs, ours in (
            ("conv_dw", "depthwise.conv"),
            ("bn1", "expand.norm" if stage else "depthwise.norm"),
            ("conv_pw", "expand.conv" if stage else "project.conv"),
            ("bn2", "depthwise.norm" if stage else "project.norm"),
            ("conv_pwl", "project.conv"),
            ("bn3", "project.norm"),
            (r"se\.conv_reduce", "gate.reduce"),
            (r"se\.conv_expand", "gate.expand"),
        )
    ),
)

NETWORKS = {
    **{f"vgg{depth}": PublicNetwork(f"vgg{depth}", vgg_renamer) for depth in (11, 13, 16, 19)},
    **{
        f"vgg{depth}_bn": PublicNetwork(f"vgg{depth}_bn", vgg_renamer) for depth in (11, 13, 16, 19)
    },
    **{
        name: PublicNetwork(name, network.renamer)
        for name, network in torchvision.NETWORKS.items()
        if name.startswith(("resnet", "wide_resnet", "resnext", "densenet"))
    },
    "mobilenet_v2": PublicNetwork("mobilenetv2_100", INVERTED_RESIDUALS),
    **{
        f"efficientnet_b{number}": PublicNetwork(f"efficientnet_b{number}", INVERTED_RESIDUALS)
        for number in range(8)
    },
    "inception_v4": PublicNetwork("inception_v4", INCEPTION_V4),
    "inception_resnet_v2": PublicNetwork("inception_resnet_v2", INCEPTION_RESNET_V2),
    **{
        f"preact_resnet{depth}": PublicNetwork(f"resnetv2_{depth}", PREACT_RESNET)
        for depth in (18, 34, 50, 101, 152)
    },
    **{
        f"se_resnet{depth}": PublicNetwork(f"legacy_seresnet{depth}", SENET)
        for depth in (18, 34, 50, 101, 152)
    },
    "se_resnext50_32x4d": PublicNetwork("legacy_seresnext50_32x4d", SENET),
    "mobilenet_v1": PublicNetwork("mobilenetv1_100", MOBILENET),
}
