"""Hidden test of the network that the student has trained (slides 36 to 45).

`predict` is called with the 2,000 test images of `data/`, which are not in the student bundle.
"""

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from autograder.checks.student import Function, StudentError, open_function
from autograder.checks.verdict import Part, Verdict
from convnets.training.data import CLASSES, Split, load

MARKS = {"format": 2.0, "independence": 1.0, "accuracy": 7.0}
# Accuracies, and the marks that they earn. Trained on 10,000 images (two to five seeds each), a
# linear classifier reaches 81.4 %, one hidden layer 85.2 %, LeNet 86.5 %, and a ResNet of three
# blocks 88.5 %.
STEPS = ((0.60, 1.0), (0.75, 2.0), (0.80, 3.0), (0.84, 5.0), (0.87, 7.0))
BATCH = 250
SINGLE_IMAGES = 24
# The fraction of images whose class may change by rounding when they are called in another batch.
TIES = 0.002
# Below this accuracy a network is hardly better than guessing.
GUESSING = 0.3


@dataclass(frozen=True)
class Predictions:
    """The classes that `predict` returned.

    Args:
        classes: (N,), int64.
        sentence: what had to be corrected to read them, if anything.
    """

    classes: Tensor
    sentence: str = ""


@dataclass(frozen=True)
class PredictExercise:
    """The exercise `predict`: format, independence of the batch, and accuracy of its classes."""

    name: str = "predict"
    answers: tuple[str, ...] = ("predict",)
    builds_on: dict[str, Any] = field(default_factory=dict)
    sentences: frozenset[str] = frozenset()

    @property
    def points(self) -> float:
        """The marks that the exercise can earn."""
        return sum(MARKS.values())

    def examine(self, predict: Any, *, seed: int) -> Verdict:
        """Mark a student's function.

        Args:
            predict: the student's function, or an `AnswerProxy` of it.
            seed: seeds the order of the images.
        """
        held_out = _held_out()
        order = torch.randperm(len(held_out), generator=Generator().manual_seed(seed))
        test = Split(held_out.images[order], held_out.labels[order])
        student = open_function(predict, "predict")
        try:
            found = _ask(student, test.images)
        except StudentError as error:
            return Verdict(
                tuple(Part(name, 0, out_of, str(error)) for name, out_of in MARKS.items())
            )
        wrong = {"format": found.sentence, "accuracy": "", "independence": ""}
        classes, sentence = _numbered_from_0(found.classes, test.labels)
        wrong["format"] = sentence or wrong["format"]
        accuracy = (classes == test.labels).float().mean().item()
        earned = max((marks for least, marks in STEPS if accuracy >= least), default=0.0)
        if earned < MARKS["accuracy"]:
            wrong["accuracy"] = _why_not_better(accuracy, classes)
        wrong["independence"] = _what_else_matters(student, test.images, found.classes)
        return Verdict(
            tuple(
                Part(
                    name,
                    earned if name == "accuracy" else out_of * (earned > 0 and not wrong[name]),
                    out_of,
                    wrong[name],
                )
                for name, out_of in MARKS.items()
            )
        )


@cache
def _held_out() -> Split:
    return load("fashion-mnist-small").test


def _ask(student: Function, images: Tensor) -> Predictions:
    """Call `predict` with all images (N, 1, 28, 28), uint8, in batches."""
    found = [_predictions(student, batch) for batch in images.split(BATCH)]
    return Predictions(torch.cat([one.classes for one in found]), found[0].sentence)


def _predictions(student: Function, images: Tensor) -> Predictions:
    """Call `predict` with a batch (N, 1, 28, 28), uint8.

    Raises:
        StudentError: it fails, or its result cannot be read as classes.
    """
    label = student.label((images,), {})
    try:
        result = student.call(images)
    except ValueError as error:
        raise StudentError(f"{label} raised ValueError: {error}") from None
    given = _as_tensor(result, label)
    count = len(images)
    if given.shape == (count, len(CLASSES)):
        return Predictions(
            given.double().argmax(1),
            f"{label} returns {len(CLASSES)} numbers for each image, its logits: the class is the "
            "index of the largest.",
        )
    sentence = ""
    if given.shape != (count,):
        sentence = f"{label} has shape {tuple(given.shape)} instead of {(count,)}."
        if given.numel() != count:
            raise StudentError(sentence)
        given = given.reshape(count)
    if given.is_floating_point() or given.dtype == torch.bool:
        if not torch.equal(given.double().round(), given.double()):
            raise StudentError(f"{label} returns fractional numbers, not classes from 0 to 9.")
        sentence = sentence or f"{label} returns {given.dtype}: classes are integers."
    return Predictions(given.long(), sentence)


def _as_tensor(result: Any, label: str) -> Tensor:
    if result is None:
        raise StudentError(f"{label} returns nothing: end the function with a return statement.")
    if not isinstance(result, Tensor | np.ndarray | list | tuple):
        raise StudentError(
            f"{label} returns a {type(result).__name__}, not a class for each image."
        )
    try:
        given = result if isinstance(result, Tensor) else torch.as_tensor(np.asarray(result))
    except (TypeError, ValueError, RuntimeError):
        raise StudentError(
            f"{label} returns a {type(result).__name__} whose elements are not numbers: return "
            "each class as an integer from 0 to 9."
        ) from None
    if given.is_complex():
        raise StudentError(f"{label} returns complex numbers, not classes from 0 to 9.")
    return given.detach().cpu()


def _numbered_from_0(classes: Tensor, labels: Tensor) -> tuple[Tensor, str]:
    """Return the classes, lowered by one and with a sentence where they are numbered from 1."""
    lower = classes - 1
    if (lower == labels).float().mean() > GUESSING and classes.min() >= 1:
        return lower, "The classes of predict are one too high: they are numbered from 0 to 9."
    if classes.min() < 0 or classes.max() >= len(CLASSES):
        return classes, "predict returns numbers that are not classes: classes go from 0 to 9."
    return classes, ""


def _why_not_better(accuracy: float, classes: Tensor) -> str:
    said = f"{accuracy:.1%} of the held-out images are classified correctly"
    if len(classes.unique()) == 1:
        return f"{said}: predict returns the same class for all images."
    if accuracy < GUESSING:
        return (
            f"{said}, which is hardly better than guessing: check that predict uses the trained "
            "network and scales the images as in training."
        )
    step = min(least for least, _ in STEPS if accuracy < least)
    return (
        f"{said}; the next step is at {step:.0%}. Convolutions, residual blocks and more epochs "
        "within the budget get a network there (slides 36 to 45)."
    )


def _what_else_matters(student: Function, images: Tensor, classes: Tensor) -> str:
    """Return a sentence if the class of an image depends on the call or on the batch."""
    try:
        again = _predictions(student, images[:BATCH]).classes
        if (again != classes[:BATCH]).float().mean() > TIES:
            return (
                "predict returns different classes for the same images when it is called twice: "
                "look for layers that are random in train mode, such as dropout."
            )
        mixed = _predictions(student, images[::BATCH]).classes
        alone = torch.cat(
            [_predictions(student, images[i : i + 1]).classes for i in range(SINGLE_IMAGES)]
        )
    except StudentError as error:
        return str(error)
    differs = int((alone != classes[:SINGLE_IMAGES]).sum()) + int((mixed != classes[::BATCH]).sum())
    if differs > 1:
        return (
            "predict returns different classes for an image alone and in a batch: in train mode, "
            "batch norm uses the statistics of the whole batch, so call network.eval() first "
            "(slide 45)."
        )
    return ""


PREDICT = PredictExercise()
EXERCISES = (PREDICT,)
