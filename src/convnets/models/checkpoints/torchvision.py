"""Our networks that torchvision has too."""

from convnets.models.checkpoints.renaming import Public, bn_is_norm, by_number, by_rules

RESNET = by_rules(
    (r"conv1\.", r"features.stem.conv."),
    (r"bn1\.", r"features.stem.norm."),
    (r"layer(\d+)\.(\d+)\.conv(\d)\.", r"features.stage\1.\2.conv\3."),
    (r"layer(\d+)\.(\d+)\.bn(\d)\.", r"features.stage\1.\2.norm\3."),
    (r"layer(\d+)\.(\d+)\.downsample\.0\.", r"features.stage\1.\2.shortcut.conv."),
    (r"layer(\d+)\.(\d+)\.downsample\.1\.", r"features.stage\1.\2.shortcut.norm."),
    (r"fc\.", r"classifier.fc."),
)
# Their conv2 and conv3 are the lines "3x3 reduce" and "3x3" of table 1. Published weights expect
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
# Published files write norm.1 where the network has norm1.
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
VGG = by_number({"0": "fc6", "3": "fc7", "6": "fc8"})

NETWORKS = {
    "alexnet_one_tower": Public("alexnet", by_number({"1": "fc6", "4": "fc7", "6": "fc8"})),
    **{f"vgg{depth}": Public(f"vgg{depth}", VGG) for depth in (11, 13, 16, 19)},
    **{f"vgg{depth}_bn": Public(f"vgg{depth}_bn", VGG) for depth in (11, 13, 16, 19)},
    "googlenet_bn": Public("googlenet", GOOGLENET),
    **{f"resnet{depth}": Public(f"resnet{depth}", RESNET) for depth in (18, 34, 50, 101, 152)},
    **{f"densenet{depth}": Public(f"densenet{depth}", DENSENET) for depth in (121, 161, 169, 201)},
}
