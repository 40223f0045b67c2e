"""Our networks that pytorchcv has too."""

from convnets.models.checkpoints.renaming import Public, by_rules

# Its response normalisation divides alpha by the window, and comes before the pool: with its
# published weights our networks compute almost, but not quite, the same.
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

NETWORKS = {
    "zfnet": Public("zfnetb", ZFNET),
    "zfnet_paper": Public("zfnet", ZFNET),
}
