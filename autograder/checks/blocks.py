"""Examine a block class: shapes, parameters, values, gradients, and train and eval modes.

An exercise builds the student's block for several cases (channels, stride) and looks at five parts
in each. A part earns its marks in proportion to the cases in which it is right.

A block that is wrong in a way that students often are is compared with a reference that makes the
same mistake. So it is told its own sentence, and the mistake costs only the parts named with it.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from autograder.checks.equivalence import (
    Assignment,
    copy_weights,
    find_assignment,
    fits,
    kind_of,
    randomize_,
    reference_forward,
    same_gradients,
    same_training,
    same_values,
    without_bias,
)
from autograder.checks.student import (
    Block,
    Layers,
    StudentError,
    layers_of,
    multiplications,
    open_block,
)
from autograder.checks.verdict import Part, Verdict

PARTS = ("shapes", "parameters", "values", "gradients", "modes")
# (batch, height, width). Layers are matched on the first; then come batch 1, odd, and not square.
SCALE = 4.0
"""Deviation of the inputs: large enough to tell ReLU from ReLU6."""
SIZES = ((2, 8, 8), (1, 7, 7), (3, 6, 9), (2, 11, 5))


@dataclass(frozen=True)
class Case:
    """The arguments that a block is built with, and the channels of its input."""

    arguments: tuple[Any, ...]
    options: Mapping[str, Any]
    channels: int

    def build(self, block: Callable[..., nn.Module]) -> nn.Module:
        return block(*self.arguments, **self.options)


def case(*arguments: Any, channels: int | None = None, **options: Any) -> Case:
    """A case; the input has as many channels as the first argument says, unless told otherwise."""
    return Case(arguments, options, arguments[0] if channels is None else channels)


Build = Callable[..., nn.Module]


@dataclass(frozen=True)
class Mistake:
    """What students often write instead, the sentence that helps, and the parts that it costs."""

    sentence: str
    costs: frozenset[str]
    build: Build


@dataclass(frozen=True)
class BlockExercise:
    """What is asked of a block class, or of a function that builds a block.

    Args:
        name: of the exercise, its cell and its bank: "basic_block".
        answer: the student's name: "BasicBlock".
        cases: what it is built with.
        marks: for each of `PARTS`.
        right: every right way to build the block, with the student's signature; all hold the same
            layers. A bias that they lack is free.
        mistakes: the known wrong ways, each tried where no right one fits.
        shape_hint: the likely reason why tensors inside a block do not fit each other.
        builds_on: earlier answers that the block may be made of, by name, and right versions.
        sizes: batch, height and width of the four inputs.
    """

    name: str
    answer: str
    cases: tuple[Case, ...]
    marks: tuple[float, ...]
    right: tuple[Build, ...]
    mistakes: tuple[Mistake, ...] = ()
    shape_hint: Callable[[Case, Block], str | None] = lambda case, block: None
    builds_on: Mapping[str, Any] = field(default_factory=dict)
    sizes: tuple[tuple[int, int, int], ...] = SIZES

    @property
    def answers(self) -> tuple[str, ...]:
        return (self.answer,)

    @property
    def points(self) -> float:
        return sum(self.marks)

    def examine(self, block_class: Any, *, seed: int) -> Verdict:
        """Mark a student's class. The seed chooses inputs and weights."""
        generator = torch.Generator().manual_seed(seed)
        failures = [_failures(self, case, block_class, generator) for case in self.cases]
        parts = []
        for name, out_of in zip(PARTS, self.marks, strict=True):
            sentences = [failed[name] for failed in failures if name in failed]
            right = len(failures) - len(sentences)
            marks = out_of * right / len(failures)
            parts.append(Part(name, marks, out_of, next(iter(sentences), "")))
        return Verdict(tuple(parts))


def _failures(
    exercise: BlockExercise, case: Case, block_class: Any, generator: torch.Generator
) -> dict[str, str]:
    """The parts that are wrong in one case, each with its sentence."""
    try:
        block = open_block(block_class, *case.arguments, **case.options)
        layers = block.layers()
    except StudentError as error:
        return dict.fromkeys(PARTS, str(error))

    inputs = [
        SCALE * torch.randn(batch, case.channels, height, width, generator=generator).double()
        for batch, height, width in exercise.sizes
    ]
    failed = {}
    if sentence := _wrong_shape(exercise, case, block, inputs):
        failed["shapes"] = sentence
    if sentence := _wrong_layers(exercise, case, block, layers):
        failed["parameters"] = sentence

    found = _recognise(exercise, case, block, inputs[0], generator)
    if found is None:
        unknown = _changed(block) if block.changed_its_input else _unrecognised(block)
        sentence = failed.get("shapes") or failed.get("parameters") or unknown
        return failed | dict.fromkeys(("values", "gradients", "modes"), sentence)

    mistake, reference, assignment = found
    if mistake is not None:
        also_failed = mistake.costs | (failed.keys() & {"parameters"})
        failed |= dict.fromkeys(also_failed, mistake.sentence)
    for part, sentence in _wrong_behaviour(block, reference, assignment, inputs):
        failed.setdefault(part, sentence)
    return failed


def _recognise(
    exercise: BlockExercise, case: Case, block: Block, x: Tensor, generator: torch.Generator
) -> tuple[Mistake | None, nn.Module, Assignment] | None:
    """The reference that the block agrees with, and the mistake if it is not a right one."""
    right = [(None, build) for build in exercise.right]
    wrong = [(mistake, mistake.build) for mistake in exercise.mistakes]
    dearer = None
    for mistake, build in (*right, *wrong):
        reference = randomize_(case.build(build), generator)
        assignment = find_assignment(reference, block, x)
        if assignment is not None:
            found = mistake, reference, assignment
            if block.multiplications(x) == multiplications(reference, x):
                return found
            dearer = dearer or found
    if dearer is not None:
        copy_weights(dearer[1], block, dearer[2])
    return dearer


def _changed(block: Block) -> str:
    return f"{block.label} changes its input tensor, which others may need."


def _unrecognised(block: Block) -> str:
    return (
        f"{block.label} does not compute the block of the lecture, whatever weights are put in: "
        "check the order of its layers, and where the stride and the ReLUs stand."
    )


def _wrong_shape(
    exercise: BlockExercise, case: Case, block: Block, inputs: list[Tensor]
) -> str | None:
    reference = case.build(exercise.right[0]).double()
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


def _wrong_layers(exercise: BlockExercise, case: Case, block: Block, layers: Layers) -> str | None:
    wanted = list(layers_of(case.build(exercise.right[0])).values())
    surplus = Counter[str]()
    for theirs in layers.values():
        part = next((ours for ours in wanted if fits(theirs, ours)), None)
        if part is None:
            surplus[_described(theirs)] += 1
        else:
            wanted.remove(part)
    missing = Counter(_described(ours) for ours in wanted)
    if not surplus and not missing:
        return None
    if not layers:
        return (
            f"{block.label} registers no layer, so nothing would be trained: layers "
            "belong in attributes, nn.Sequential or nn.ModuleList, not in a list or in forward."
        )
    differences = [f"{count} {what} too few" for what, count in (missing - surplus).items()]
    differences += [f"{count} {what} too many" for what, count in (surplus - missing).items()]
    if not differences:
        return f"{block.label} lacks the bias of a convolution."
    return f"{block.label} holds other layers than it should: {'; '.join(differences)}."


def _described(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """A layer in words, such as "3x3 convolution 8 -> 16"; biases are not mentioned."""
    weight = kind_of(shapes).get("weight", ())
    if set(without_bias(shapes)) == {"weight"} and len(weight) == 4:
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
    turned = inputs[2].transpose(2, 3).contiguous().transpose(2, 3)  # the same, not contiguous
    try:
        for x in (*inputs, turned):
            if not same_values(reference, block, x):
                yield "values", f"{block.label} is wrong for inputs of shape {tuple(x.shape)}."
        if block.changed_its_input:
            yield "values", _changed(block)
        if block.forward_in_float32(inputs[0]).dtype != torch.float32:
            yield "values", f"{block.label} does not keep the number format of its input."
        if block.multiplications(inputs[0]) != multiplications(reference, inputs[0]):
            yield (
                "values",
                f"{block.label} computes the right values, but at another cost than it should: "
                "look at where its stride or pooling stands.",
            )
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
            yield "modes", _wrong_mode(block, reference)
    except StudentError as error:
        yield "modes", str(error)


def _wrong_mode(block: Block, reference: nn.Module) -> str:
    wrong = f"{block.label} is right in eval mode but not in train mode: "
    if any(isinstance(layer, nn.BatchNorm2d) for layer in reference.modules()):
        look = "look at what batch norm sees and counts there, and at where the stride stands"
        return f"{wrong}{look} (slide 45)."
    return f"{wrong}this block has nothing that works differently there, such as dropout."
