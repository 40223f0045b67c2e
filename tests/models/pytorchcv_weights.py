"""pytorchcv's networks that have the layers of ours."""

import re

from convnets.layers import ImageClassifier
from convnets.models.checkpoints.renaming import (
    PublicNetwork,
    Rename,
    Renamer,
    bn_is_norm,
    by_rules,
)


def units_from_0(renamer: Renamer) -> Renamer:
    """Counts the units of a stage from 0, which pytorchcv counts from 1, and then renames."""

    def from_0(net: ImageClassifier) -> Rename:
        rename = renamer(net)
        return lambda key: rename(
            re.sub(r"\.unit(\d+)\.", lambda unit: f".unit{int(unit[1]) - 1}.", key)
        )

    return from_0


def _shuffle_unit(theirs: str, ours: str) -> tuple[tuple[str, str], ...]:
    """Rules for a unit of ShuffleNet v1."""
    return (
        (theirs + r"compress_conv1\.", ours + "compress.conv."),
        (theirs + r"compress_bn1\.", ours + "compress.norm."),
        (theirs + r"dw_conv2\.", ours + "depthwise.conv."),
        (theirs + r"dw_bn2\.", ours + "depthwise.norm."),
        (theirs + r"expand_conv3\.", ours + "expand.conv."),
        (theirs + r"expand_bn3\.", ours + "expand.norm."),
    )


# pytorchcv's response normalisation divides alpha by the window and comes before the pool, so with
# its published weights the outputs of our networks differ slightly.
ZFNET = by_rules(
    (r"features\.stage1\.unit1\.conv\.", r"features.conv1."),
    (r"features\.stage2\.unit1\.conv\.", r"features.conv2."),
    (r"features\.stage3\.unit1\.conv\.", r"features.conv3."),
    (r"features\.stage3\.unit2\.conv\.", r"features.conv4."),
    (r"features\.stage3\.unit3\.conv\.", r"features.conv5."),
    (r"output\.fc1\.fc\.", r"classifier.fc6."),
    (r"output\.fc2\.fc\.", r"classifier.fc7."),
    (r"output\.fc3\.", r"classifier.fc8."),
)
# None of its small ResNets is ours: they project where the paper's shortcuts pad with zeros.
RESNET = units_from_0(
    bn_is_norm(
        by_rules(
            (r"features\.init_block\.(conv\.)?(conv|norm)\.", r"features.stem.\2."),
            (
                r"features\.stage(\d)\.unit(\d+)\.body\.conv(\d)\.(conv|norm)\.",
                r"features.stage\1.\2.residual.\4\3.",
            ),
            (
                r"features\.stage(\d)\.unit(\d+)\.identity_conv\.",
                r"features.stage\1.\2.shortcut.",
            ),
            (r"output\.", r"classifier.fc."),
        )
    )
)
WIDE_RESNET = units_from_0(
    bn_is_norm(
        by_rules(
            (r"features\.init_block\.", r"features.stem.conv."),
            (
                r"features\.stage(\d)\.unit(\d+)\.body\.conv1\.norm\.",
                r"features.stage\1.\2.activation.norm1.",
            ),
            (
                r"features\.stage(\d)\.unit(\d+)\.body\.conv(\d)\.(conv|norm)\.",
                r"features.stage\1.\2.residual.\4\3.",
            ),
            (
                r"features\.stage(\d)\.unit(\d+)\.identity_conv\.",
                r"features.stage\1.\2.shortcut.",
            ),
            (r"features\.post_activ\.norm\.", r"features.norm."),
            (r"output\.", r"classifier.fc."),
        )
    )
)
# Its densenet40_k12 is not ours: unlike the paper's, it halves the channels between blocks.
SMALL_DENSENET = bn_is_norm(
    by_rules(
        (r"features\.init_block\.", r"features.stem.conv."),
        (
            r"features\.stage(\d+)\.unit(\d+)\.conv(\d)\.(norm|conv)\.",
            r"features.block\1.layer\2.\4\3.",
        ),
        (
            r"features\.stage(\d+)\.unit(\d+)\.conv\.(norm|conv)\.",
            r"features.block\1.layer\2.\g<3>1.",
        ),
        *(
            (
                rf"features\.stage{stage + 1}\.trans{stage + 1}\.conv\.",
                rf"features.transition{stage}.",
            )
            for stage in (1, 2)
        ),
        (r"features\.post_activ\.norm\.", r"features.norm."),
        (r"output\.", r"classifier.fc."),
    )
)
SHUFFLENET = by_rules(
    (r"features\.init_block\.conv\.", r"features.stem.conv."),
    (r"features\.init_block\.bn\.", r"features.stem.norm."),
    *(
        rule
        for stage in (2, 3, 4)
        for unit in range(8)
        for rule in _shuffle_unit(
            rf"features\.stage{stage - 1}\.unit{unit + 1}\.",
            f"features.stage{stage}.{unit}.residual.",
        )
    ),
    (r"output\.", r"classifier.fc."),
)

NETWORKS = {
    "zfnet": PublicNetwork("zfnetb", ZFNET),
    "zfnet_paper": PublicNetwork("zfnet", ZFNET),
    **{f"resnet{depth}_v1": PublicNetwork(f"resnet{depth}", RESNET) for depth in (50, 101, 152)},
    "wide_resnet28_10": PublicNetwork("wrn28_10_cifar10", WIDE_RESNET),
    "densenet_bc100_12": PublicNetwork("densenet100_k12_bc_cifar10", SMALL_DENSENET),
    **{
        f"shufflenet_v1_g{groups}": PublicNetwork(f"shufflenet_g{groups}_w1", SHUFFLENET)
        for groups in (1, 2, 3, 4, 8)
    },
}
