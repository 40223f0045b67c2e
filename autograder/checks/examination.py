"""Examine a block class: shapes, parameters, values, gradients, and train and eval modes.

An exercise builds the student's block for several cases (channels, stride) and looks at five parts
in each. A part earns its marks in proportion to the cases in which it is right.

A block that is wrong in a way that students often are is compared with a reference that makes the
same mistake. So it is told its own sentence, and the mistake costs only the parts named with it.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from autograder.checks.equivalence import (
    Assignment,
    Block,
    Layers,
    StudentError,
    find_assignment,
    layers_of,
    randomize_,
    reference_forward,
    same_gradients,
    same_training,
    same_values,
    without_free_bias,
)
from autograder.checks.verdict import Part, Verdict

PARTS = ("shapes", "parameters", "values", "gradients", "modes")
# (batch, height, width). Layers are matched on the first; then come batch 1, odd, and not square.
SIZES = ((2, 8, 8), (1, 7, 7), (3, 6, 9), (2, 11, 5))


@dataclass(frozen=True)
class Case:
    """The arguments that a block is built with."""

    in_channels: int
    width: int
    stride: int


Build = Callable[[Case], nn.Module]


@dataclass(frozen=True)
class Mistake:
    """What students often write instead, the sentence that helps, and the parts that it costs."""

    sentence: str
    costs: frozenset[str]
    build: Build


@dataclass(frozen=True)
class Exercise:
    """What is asked of a block class.

    Args:
        name: the class's name.
        cases: what it is built with.
        marks: for each of `PARTS`.
        right: every right way to build the block; all hold the same layers.
        mistakes: the known wrong ways, each tried where no right one fits.
        shape_hint: the likely reason why tensors inside a block do not fit each other.
    """

    name: str
    cases: tuple[Case, ...]
    marks: tuple[int, ...]
    right: tuple[Build, ...]
    mistakes: tuple[Mistake, ...]
    shape_hint: Callable[[Case, Block], str | None]


def examine(exercise: Exercise, block_class: object, seed: int) -> Verdict:
    """Mark a student's class. The seed chooses inputs and weights."""
    generator = torch.Generator().manual_seed(seed)
    failures = [_failures(exercise, case, block_class, generator) for case in exercise.cases]
    parts = []
    for name, out_of in zip(PARTS, exercise.marks, strict=True):
        sentences = [failed[name] for failed in failures if name in failed]
        right = len(failures) - len(sentences)
        parts.append(Part(name, out_of * right / len(failures), out_of, next(iter(sentences), "")))
    return Verdict(tuple(parts))


def _failures(
    exercise: Exercise, case: Case, block_class: object, generator: torch.Generator
) -> dict[str, str]:
    """The parts that are wrong in one case, each with its sentence."""
    try:
        block = Block(block_class, case.in_channels, case.width, stride=case.stride)
        layers = block.layers()
    except StudentError as error:
        return dict.fromkeys(PARTS, str(error))

    inputs = [
        torch.randn(batch, case.in_channels, height, width, generator=generator).double()
        for batch, height, width in SIZES
    ]
    failed = {}
    if sentence := _wrong_shape(exercise, case, block, inputs):
        failed["shapes"] = sentence
    if sentence := _wrong_layers(exercise, case, block, layers):
        failed["parameters"] = sentence

    found = _recognise(exercise, case, block, inputs[0], generator)
    if found is None:
        sentence = failed.get("shapes") or failed.get("parameters") or _unrecognised(block)
        return failed | dict.fromkeys(("values", "gradients", "modes"), sentence)

    mistake, reference, assignment = found
    if mistake is not None:
        also_failed = mistake.costs | (failed.keys() & {"parameters"})
        failed |= dict.fromkeys(also_failed, mistake.sentence)
    for part, sentence in _wrong_behaviour(block, reference, assignment, inputs):
        failed.setdefault(part, sentence)
    return failed


def _recognise(
    exercise: Exercise, case: Case, block: Block, x: Tensor, generator: torch.Generator
) -> tuple[Mistake | None, nn.Module, Assignment] | None:
    """The reference that the block agrees with, and the mistake if it is not a right one."""
    right = [(None, build) for build in exercise.right]
    wrong = [(mistake, mistake.build) for mistake in exercise.mistakes]
    for mistake, build in (*right, *wrong):
        reference = randomize_(build(case), generator)
        assignment = find_assignment(reference, block, x)
        if assignment is not None:
            return mistake, reference, assignment
    return None


def _unrecognised(block: Block) -> str:
    return (
        f"{block.label} does not compute the block of the lecture, whatever weights are put in: "
        "check the order of its layers, and where the stride and the ReLUs stand."
    )


def _wrong_shape(exercise: Exercise, case: Case, block: Block, inputs: list[Tensor]) -> str | None:
    reference = exercise.right[0](case).double()
    for x in inputs:
        expected = tuple(reference_forward(reference, x).shape)
        try:
            found = tuple(block.forward(x).shape)
        except StudentError as error:
            hint = exercise.shape_hint(case, block) if "match" in str(error) else None
            return hint or str(error)
        if found != expected:
            return f"{block.label} turns {tuple(x.shape)} into {found} instead of {expected}."
    return None


def _wrong_layers(exercise: Exercise, case: Case, block: Block, layers: Layers) -> str | None:
    expected = _summary(layers_of(exercise.right[0](case)))
    found = _summary(layers)
    if found == expected:
        return None
    if not found:
        return (
            f"{block.label} registers no layer, so nothing would be trained: layers "
            "belong in attributes, nn.Sequential or nn.ModuleList, not in a list or in forward."
        )
    wrong = [
        f"{found[layer]} instead of {expected[layer]} of {layer}"
        for layer in dict.fromkeys([*expected, *found])
        if found[layer] != expected[layer]
    ]
    return f"{block.label} holds a wrong number of layers: {'; '.join(wrong)}."


def _summary(layers: Layers) -> Counter[str]:
    """How many layers of each kind there are, in words."""
    return Counter(_describe(without_free_bias(shapes)) for shapes in layers.values())


def _describe(shapes: dict[str, tuple[int, ...]]) -> str:
    weight = shapes.get("weight", ())
    if set(shapes) == {"weight"} and len(weight) == 4:
        out_channels, in_channels, height, width = weight
        return f"{height}x{width} convolution {in_channels} -> {out_channels}"
    if {"weight", "bias", "running_mean", "running_var"} <= set(shapes):
        return f"batch norm of {weight[0]} channels"
    return f"layer with {', '.join(f'{name} {shape}' for name, shape in shapes.items())}"


def _wrong_behaviour(
    block: Block, reference: nn.Module, assignment: Assignment, inputs: list[Tensor]
) -> Iterator[tuple[str, str]]:
    """Whether a block that agrees in eval mode on one input also agrees elsewhere."""
    batches = [inputs[2], inputs[3]]
    try:
        for x in inputs:
            if not same_values(reference, block, x):
                yield "values", f"{block.label} is wrong for inputs of shape {tuple(x.shape)}."
        if block.changed_its_input:
            yield "values", f"{block.label} changes its input tensor, which others may need."
    except StudentError as error:
        yield "values", str(error)
    try:
        if not same_gradients(reference, block, assignment, batches[0]):
            yield (
                "gradients",
                f"{block.label} gives wrong gradients: look for what stops or changes them on the "
                "way back, such as detach, no_grad or .data.",
            )
    except StudentError as error:
        yield "gradients", str(error)
    try:
        if not same_training(reference, block, assignment, batches):
            yield (
                "modes",
                f"{block.label} is right in eval mode but not in train mode: look at what batch "
                "norm sees and counts there, and at where the stride stands (slide 45).",
            )
    except StudentError as error:
        yield "modes", str(error)
