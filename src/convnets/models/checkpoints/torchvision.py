"""Torchvision's networks that have the layers of ours."""

from convnets.layers import ImageClassifier
from convnets.models.checkpoints.renaming import (
    PublicNetwork,
    Rename,
    bn_is_norm,
    by_number,
    by_rules,
)


def conv_and_norm(theirs: str, number: int, ours: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """Rules for a numbered convolution and the batch norm after it."""
    return (
        (rf"{theirs}{number}\.", f"{ours}conv."),
        (rf"{theirs}{number + 1}\.", f"{ours}norm."),
    )


def mobilenet_v2_renamer(net: ImageClassifier) -> Rename:
    """Renames for blocks that are numbered through the network, where ours are in stages."""
    features = dict(net.features.named_children())
    blocks = [
        f"features.{name}.{index}."
        for name, stage in features.items()
        if name.startswith("stage")
        for index in range(len(list(stage.children())))
    ]
    rules = [
        *conv_and_norm(r"features\.0\.", 0, "features.stem."),
        *conv_and_norm(rf"features\.{len(blocks) + 1}\.", 0, "features.last."),
        # The first block has no expansion.
        *conv_and_norm(r"features\.1\.conv\.0\.", 0, f"{blocks[0]}depthwise."),
        *conv_and_norm(r"features\.1\.conv\.", 1, f"{blocks[0]}project."),
        (r"classifier\.1\.", "classifier.fc."),
    ]
    for number, block in enumerate(blocks[1:], start=2):
        rules += conv_and_norm(rf"features\.{number}\.conv\.0\.", 0, f"{block}expand.")
        rules += conv_and_norm(rf"features\.{number}\.conv\.1\.", 0, f"{block}depthwise.")
        rules += conv_and_norm(rf"features\.{number}\.conv\.", 2, f"{block}project.")
    return by_rules(*rules)(net)


def mbconv(theirs: str, ours: str, first: int) -> tuple[tuple[str, str], ...]:
    """Rules for the layers of an MBConv block from its depthwise convolution on."""
    return (
        *conv_and_norm(rf"{theirs}{first}\.", 0, f"{ours}depthwise."),
        (rf"{theirs}{first + 1}\.fc1\.", f"{ours}gate.reduce."),
        (rf"{theirs}{first + 1}\.fc2\.", f"{ours}gate.expand."),
        *conv_and_norm(rf"{theirs}{first + 2}\.", 0, f"{ours}project."),
    )


EFFICIENTNET = by_rules(
    *conv_and_norm(r"features\.0\.", 0, "features.stem."),
    *conv_and_norm(r"features\.8\.", 0, "features.last."),
    # The first stage has no expansion.
    *mbconv(r"features\.1\.(\d+)\.block\.", r"features.stage1.\1.", 0),
    *conv_and_norm(r"features\.(\d)\.(\d+)\.block\.0\.", 0, r"features.stage\1.\2.expand."),
    *mbconv(r"features\.(\d)\.(\d+)\.block\.", r"features.stage\1.\2.", 1),
    (r"classifier\.1\.", r"classifier.fc."),
)
RESNET = by_rules(
    (r"conv1\.", r"features.stem.conv."),
    (r"bn1\.", r"features.stem.norm."),
    (r"layer(\d+)\.(\d+)\.conv(\d)\.", r"features.stage\1.\2.residual.conv\3."),
    (r"layer(\d+)\.(\d+)\.bn(\d)\.", r"features.stage\1.\2.residual.norm\3."),
    (r"layer(\d+)\.(\d+)\.downsample\.0\.", r"features.stage\1.\2.shortcut.conv."),
    (r"layer(\d+)\.(\d+)\.downsample\.1\.", r"features.stage\1.\2.shortcut.norm."),
    (r"fc\.", r"classifier.fc."),
)
# torchvision's conv2 and conv3 are the rows "3x3 reduce" and "3x3" of table 1. Its weights expect
# pixels from -1 to 1.
GOOGLENET = bn_is_norm(
    by_rules(
        (r"conv1\.", r"features.stem.conv1."),
        (r"conv2\.", r"features.stem.reduce2."),
        (r"conv3\.", r"features.stem.conv2."),
        (r"inception(\d.)\.branch1\.", r"features.inception\1.branch1x1."),
        (r"inception(\d.)\.branch2\.0\.", r"features.inception\1.branch3x3.reduce."),
        (r"inception(\d.)\.branch2\.1\.", r"features.inception\1.branch3x3.conv."),
        (r"inception(\d.)\.branch3\.0\.", r"features.inception\1.branch5x5.reduce."),
        (r"inception(\d.)\.branch3\.1\.", r"features.inception\1.branch5x5.conv."),
        (r"inception(\d.)\.branch4\.1\.", r"features.inception\1.branch_pool.project."),
        (r"aux\d\.", None),  # see models/googlenet_auxiliary.py
        (r"fc\.", r"classifier.fc."),
    )
)
# The published files have norm.1 where the network has norm1.
DENSENET = by_rules(
    (r"features\.(conv|norm)0\.", r"features.stem.\1."),
    (
        r"features\.denseblock(\d+)\.denselayer(\d+)\.(norm|conv)\.?([12])\.",
        r"features.block\1.layer\2.\3\4.",
    ),
    (r"features\.transition(\d+)\.", r"features.transition\1."),
    (r"features\.norm5\.", r"features.norm."),
    (r"classifier\.", r"classifier.fc."),
)
SHUFFLENET_V2 = by_rules(
    *conv_and_norm(r"conv1\.", 0, "features.stem."),
    *conv_and_norm(r"conv5\.", 0, "features.conv5."),
    *conv_and_norm(
        r"stage(\d)\.(\d)\.branch1\.", 0, r"features.stage\1.\2.short_branch.depthwise."
    ),
    *conv_and_norm(r"stage(\d)\.(\d)\.branch1\.", 2, r"features.stage\1.\2.short_branch.after."),
    *conv_and_norm(r"stage(\d)\.(\d)\.branch2\.", 0, r"features.stage\1.\2.branch.before."),
    *conv_and_norm(r"stage(\d)\.(\d)\.branch2\.", 3, r"features.stage\1.\2.branch.depthwise."),
    *conv_and_norm(r"stage(\d)\.(\d)\.branch2\.", 5, r"features.stage\1.\2.branch.after."),
    (r"fc\.", r"classifier.fc."),
)
VGG = by_number({"0": "fc6", "3": "fc7", "6": "fc8"})

NETWORKS = {
    "alexnet_one_tower": PublicNetwork("alexnet", by_number({"1": "fc6", "4": "fc7", "6": "fc8"})),
    **{f"vgg{depth}": PublicNetwork(f"vgg{depth}", VGG) for depth in (11, 13, 16, 19)},
    **{f"vgg{depth}_bn": PublicNetwork(f"vgg{depth}_bn", VGG) for depth in (11, 13, 16, 19)},
    "googlenet_bn": PublicNetwork("googlenet", GOOGLENET),
    **{
        f"resnet{depth}": PublicNetwork(f"resnet{depth}", RESNET)
        for depth in (18, 34, 50, 101, 152)
    },
    **{
        name: PublicNetwork(name, RESNET)
        for name in ("wide_resnet50_2", "wide_resnet101_2", "resnext50_32x4d", "resnext101_32x8d")
    },
    **{
        f"densenet{depth}": PublicNetwork(f"densenet{depth}", DENSENET)
        for depth in (121, 161, 169, 201)
    },
    "mobilenet_v2": PublicNetwork("mobilenet_v2", mobilenet_v2_renamer),
    **{
        f"shufflenet_v2_{scale}": PublicNetwork(f"shufflenet_v2_{scale}", SHUFFLENET_V2)
        for scale in ("x0_5", "x1_0", "x1_5", "x2_0")
    },
    **{
        f"efficientnet_b{number}": PublicNetwork(f"efficientnet_b{number}", EFFICIENTNET)
        for number in range(8)
    },
}
