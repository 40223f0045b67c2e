"""Statements of the slides that the ledger does not check, with reasons."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Unchecked:
    """A statement that has no row in the ledger."""

    slide: int
    statement: str
    reason: str


_PAGE = "The number of the slide, printed on it."

_UNCHECKED = (
    Unchecked(
        3,
        "The bars of the winners' chart, here and on slides 13, 16, 22 and 37",
        "They are in an image that the course does not have.",
    ),
    Unchecked(
        6,
        "POOL1 is the second layer",
        "The slide counts pools as layers; we count layers with weights.",
    ),
    Unchecked(
        7,
        "CONV2 is the third layer",
        "The slide counts pools as layers; we count layers with weights.",
    ),
    Unchecked(7, "7", _PAGE),
    Unchecked(
        10,
        "ReLU is cheaper than tanh and sigmoid",
        "It depends on the machine; chapter 2 measures it on yours.",
    ),
    Unchecked(10, "ReLU converges faster", "It takes a training run to check; chapter 2 has one."),
    Unchecked(
        11,
        "Leaky ReLU is not always superior",
        "It takes training runs to check; chapter 2 has some.",
    ),
    Unchecked(
        19,
        "FC7 features generalize well to other tasks",
        "It takes other data sets to check; appendix B of the paper has results.",
    ),
    Unchecked(
        23,
        "A bigger network overfits more easily and is hard to train",
        "It depends on the data and takes training runs to check.",
    ),
    Unchecked(
        24,
        "Sparsity inside a filter is slow, dense blocks of it are fast",
        "It depends on the hardware.",
    ),
    Unchecked(26, "26", _PAGE),
    Unchecked(
        27,
        "The module approximates an optimal sparse structure",
        "The optimum is not known, so there is nothing to compare with.",
    ),
    Unchecked(34, "34", _PAGE),
    Unchecked(35, "35", _PAGE),
    Unchecked(36, "36", _PAGE),
    Unchecked(38, "38", _PAGE),
    Unchecked(
        39,
        "Deeper plain networks are harder to optimize",
        "It takes training runs to check; the chapter on degradation has some.",
    ),
    Unchecked(40, "40", _PAGE),
    Unchecked(42, "42", _PAGE),
    Unchecked(
        43, "The reasons for bottlenecks are practical", "An argument of the paper's authors."
    ),
    Unchecked(44, "44", _PAGE),
    Unchecked(46, "46", _PAGE),
    Unchecked(46, "AlexNet is the father of all models", "A figure of speech; LeNet is older."),
    Unchecked(
        47, "The ensemble looks at several scales", "Only the team's description mentions it."
    ),
    Unchecked(49, "49", _PAGE),
    Unchecked(50, "50", _PAGE),
    Unchecked(54, "54", _PAGE),
    Unchecked(
        54, "Residuals are the important factor, not depth", "An argument of the paper's authors."
    ),
    Unchecked(55, "55", _PAGE),
    Unchecked(55, "The pathways are similar in spirit to Inception", "A matter of taste."),
    Unchecked(
        56,
        "Deep residual networks hold redundancy",
        "It takes trained networks to check; Huang et al., 2016, dropped layers during training.",
    ),
    Unchecked(57, "57", _PAGE),
    Unchecked(58, "58", _PAGE),
    Unchecked(
        58,
        "DenseNet is easy to train and its gradients flow better",
        "It takes training runs to check; the chapter on DenseNet measures gradients.",
    ),
    Unchecked(59, "59", _PAGE),
    Unchecked(
        59,
        "Deep layers do use the features of early ones",
        "It takes a trained network to check; the chapter on DenseNet examines one.",
    ),
    Unchecked(61, "61", _PAGE),
    Unchecked(62, "62", _PAGE),
    Unchecked(66, "What 1x1 convolution filters are for", "A question; chapter 5 answers it."),
    Unchecked(67, "Addresses of the other papers", "The course does not contact other hosts."),
    Unchecked(
        68,
        "The deadline of Assignment 2 is 18:00, 13th November",
        "Each course sets its own deadline; the instructor's guide says where.",
    ),
    Unchecked(69, "69", _PAGE),
)


def unchecked() -> list[Unchecked]:
    """List the statements of the slides that the ledger does not check, each with the reason.

    Example:
        >>> all(one.reason for one in unchecked())
        True
    """
    return list(_UNCHECKED)
