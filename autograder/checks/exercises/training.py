"""Hidden test of what the student's own network has learned: slides 36 to 45.

`predict` is asked about the 2,000 test images of `data/`, which no student's bundle holds.
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

MARKS = {"form": 2.0, "alone": 1.0, "accuracy": 7.0}
# Accuracy, and the marks from there on. On 10,000 images (two to five seeds each) a linear
# classifier has 81.4 %, one hidden layer 85.2 %, LeNet 86.5 %, a ResNet of three blocks 88.5 %.
STEPS = ((0.60, 1.0), (0.75, 2.0), (0.80, 3.0), (0.84, 5.0), (0.87, 7.0))
BATCH = 250
SINGLE_IMAGES = 24
# Of the images, what may change by rounding when they come in another batch.
TIES = 0.002
CHANCE = 0.3


@dataclass(frozen=True)
class Predictions:
    """Classes (N,), int64, and the sentence for what had to be put right to read them."""

    classes: Tensor
    sentence: str = ""


@dataclass(frozen=True)
class PredictExercise:
    """What is asked of `predict`: classes, from the image alone, and right."""

    name: str = "predict"
    answers: tuple[str, ...] = ("predict",)
    builds_on: dict[str, Any] = field(default_factory=dict)
    sentences: frozenset[str] = frozenset()

    @property
    def points(self) -> float:
        return sum(MARKS.values())

    def examine(self, predict: Any, *, seed: int) -> Verdict:
        """Mark a student's function. The seed chooses the order of the images."""
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
        wrong = {"form": found.sentence, "accuracy": "", "alone": ""}
        classes, sentence = _numbered_from_0(found.classes, test.labels)
        wrong["form"] = sentence or wrong["form"]
        accuracy = (classes == test.labels).float().mean().item()
        earned = max((marks for least, marks in STEPS if accuracy >= least), default=0.0)
        if earned < MARKS["accuracy"]:
            wrong["accuracy"] = _why_not_better(accuracy, classes)
        wrong["alone"] = _what_else_matters(student, test.images, found.classes)
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
    """The classes of all images, asked in batches."""
    found = [_answers(student, batch) for batch in images.split(BATCH)]
    return Predictions(torch.cat([one.classes for one in found]), found[0].sentence)


def _answers(student: Function, images: Tensor) -> Predictions:
    """What `predict` says of a batch.

    Raises:
        StudentError: it fails, or what it returns cannot be read as classes.
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
            "place of the largest.",
        )
    sentence = ""
    if given.shape != (count,):
        sentence = f"{label} has shape {tuple(given.shape)} instead of {(count,)}."
        if given.numel() != count:
            raise StudentError(sentence)
        given = given.reshape(count)
    if given.is_floating_point() or given.dtype == torch.bool:
        if not torch.equal(given.double().round(), given.double()):
            raise StudentError(f"{label} returns fractions, not classes from 0 to 9.")
        sentence = sentence or f"{label} returns {given.dtype}: classes are integers."
    return Predictions(given.long(), sentence)


def _as_tensor(result: Any, label: str) -> Tensor:
    if result is None:
        raise StudentError(f"{label} returns nothing: end it with return.")
    if not isinstance(result, Tensor | np.ndarray | list | tuple):
        raise StudentError(
            f"{label} returns a {type(result).__name__}, not a class for each image."
        )
    try:
        given = result if isinstance(result, Tensor) else torch.as_tensor(np.asarray(result))
    except (TypeError, ValueError, RuntimeError):
        raise StudentError(
            f"{label} returns a {type(result).__name__} of what are no numbers: give each class as "
            "an integer from 0 to 9."
        ) from None
    if given.is_complex():
        raise StudentError(f"{label} returns complex numbers, not classes from 0 to 9.")
    return given.detach().cpu()


def _numbered_from_0(classes: Tensor, labels: Tensor) -> tuple[Tensor, str]:
    """The classes; one lower, with a sentence, where they are numbered from 1."""
    lower = classes - 1
    if (lower == labels).float().mean() > CHANCE and classes.min() >= 1:
        return lower, "The classes of predict are one too high: they are numbered from 0 to 9."
    if classes.min() < 0 or classes.max() >= len(CLASSES):
        return classes, "predict returns numbers that are no class: they go from 0 to 9."
    return classes, ""


def _why_not_better(accuracy: float, classes: Tensor) -> str:
    said = f"{accuracy:.1%} of the held-out images are right"
    if len(classes.unique()) == 1:
        return f"{said}: predict gives all images the same class."
    if accuracy < CHANCE:
        return (
            f"{said}, which is hardly more than guessing: is it the trained network that answers, "
            "and are the images scaled as they were in training?"
        )
    step = min(least for least, _ in STEPS if accuracy < least)
    return (
        f"{said}; the next step is at {step:.0%}. Convolutions, residual blocks and more epochs "
        "within the budget take a network there (slides 36 to 45)."
    )


def _what_else_matters(student: Function, images: Tensor, classes: Tensor) -> str:
    """A sentence if the answers depend on more than the image: on the call, or on the batch."""
    try:
        again = _answers(student, images[:BATCH]).classes
        if (again != classes[:BATCH]).float().mean() > TIES:
            return (
                "predict answers differently when it is asked twice: look for what is drawn at "
                "random in train mode, such as dropout."
            )
        mixed = _answers(student, images[::BATCH]).classes
        alone = torch.cat(
            [_answers(student, images[i : i + 1]).classes for i in range(SINGLE_IMAGES)]
        )
    except StudentError as error:
        return str(error)
    differs = int((alone != classes[:SINGLE_IMAGES]).sum()) + int((mixed != classes[::BATCH]).sum())
    if differs > 1:
        return (
            "predict answers differently when an image comes alone or with others in its batch: "
            "batch norm in train mode looks at the whole batch (slide 45 and PyTorch's eval)."
        )
    return ""


PREDICT = PredictExercise()
EXERCISES = (PREDICT,)
