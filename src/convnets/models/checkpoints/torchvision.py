"""Our networks that torchvision has too."""

from convnets.models.checkpoints.renaming import Public, by_number, by_rules

RESNET = by_rules(
    (r"conv1\.", r"features.stem.conv."),
    (r"bn1\.", r"features.stem.norm."),
    (r"layer(\d+)\.(\d+)\.conv(\d)\.", r"features.stage\1.\2.conv\3."),
    (r"layer(\d+)\.(\d+)\.bn(\d)\.", r"features.stage\1.\2.norm\3."),
    (r"layer(\d+)\.(\d+)\.downsample\.0\.", r"features.stage\1.\2.shortcut.conv."),
    (r"layer(\d+)\.(\d+)\.downsample\.1\.", r"features.stage\1.\2.shortcut.norm."),
    (r"fc\.", r"classifier.fc."),
)
VGG = by_number({"0": "fc6", "3": "fc7", "6": "fc8"})

NETWORKS = {
    "alexnet_one_tower": Public("alexnet", by_number({"1": "fc6", "4": "fc7", "6": "fc8"})),
    **{f"vgg{depth}": Public(f"vgg{depth}", VGG) for depth in (11, 13, 16, 19)},
    **{f"vgg{depth}_bn": Public(f"vgg{depth}_bn", VGG) for depth in (11, 13, 16, 19)},
    **{f"resnet{depth}": Public(f"resnet{depth}", RESNET) for depth in (18, 34, 50, 101, 152)},
}
