"""Examine a block: shapes, parameters, values, gradients, and train and eval mode.

An exercise builds the student's block in several cases (channels, stride) and examines five parts
in each. A part earns its marks in proportion to the cases in which it is correct.

Common mistakes have references too. A block that agrees with such a reference is told the sentence
of the mistake, which costs only the parts that are named with it.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from typing import Any

import torch
from torch import nn

from autograder.checks.equivalence import (
    Match,
    Reference,
    find_match,
    fits,
    kind_of,
    randomize_,
    without_bias,
)
from autograder.checks.student import (
    Block,
    Layers,
    StudentError,
    open_block,
)
from autograder.checks.verdict import Part, Verdict

# The number of wrong kinds of layers that a sentence lists.
DIFFERENCES = 6
PARTS = ("shapes", "parameters", "values", "gradients", "modes")
# Standard deviation of the inputs: large enough to tell ReLU from ReLU6.
SCALE = 4.0
# (N, H, W). Layers are matched on the first; the others are odd, not square, or a single image.
SIZES = ((2, 8, 8), (1, 7, 7), (3, 6, 9), (2, 11, 5))


@dataclass(frozen=True)
class Case:
    """Arguments that a block is built with.

    Args:
        arguments: positional arguments.
        options: keyword arguments.
        channels: the number of channels of the block's input.
    """

    arguments: tuple[Any, ...]
    options: Mapping[str, Any]
    channels: int

    def build(self, block: Callable[..., nn.Module]) -> nn.Module:
        """Build a block with the arguments of the case."""
        return block(*self.arguments, **self.options)


def case(*arguments: Any, channels: int | None = None, **options: Any) -> Case:
    """Make a `Case`; without `channels`, the first argument is the number of input channels."""
    return Case(arguments, options, arguments[0] if channels is None else channels)


Build = Callable[..., nn.Module]


@dataclass(frozen=True)
class Mistake:
    """A common mistake.

    Args:
        sentence: what a student who makes it is told.
        costs: the parts that it costs.
        build: builds a block that makes it.
    """

    sentence: str
    costs: frozenset[str]
    build: Build


@dataclass(frozen=True, eq=False)
class BlockExercise:
    """An exercise whose answer is a class of blocks, or a function that builds a block.

    Args:
        name: the name of the exercise, its cell and its bank, such as "basic_block".
        answer: the name of the student's class or function, such as "BasicBlock".
        cases: the cases in which the block is built.
        marks: the marks of each of `PARTS`.
        references: every correct way to build the block, with the student's signature; all hold
            the same layers. The student's layers may have biases that the references lack.
        mistakes: the known mistakes, tried in turn where no reference matches.
        shape_hint: the likely reason why tensors inside a block do not fit each other.
        builds_on: reference versions of earlier answers that the block may use, by name.
        sizes: batch size, height and width (N, H, W) of the four inputs.
    """

    name: str
    answer: str
    cases: tuple[Case, ...]
    marks: tuple[float, ...]
    references: tuple[Build, ...]
    mistakes: tuple[Mistake, ...] = ()
    shape_hint: Callable[[Case, Block], str | None] = lambda case, block: None
    builds_on: Mapping[str, Any] = field(default_factory=dict)
    sizes: tuple[tuple[int, int, int], ...] = SIZES

    @property
    def answers(self) -> tuple[str, ...]:
        """The name of the student's class or function."""
        return (self.answer,)

    @property
    def points(self) -> float:
        """The marks that the exercise can earn."""
        return sum(self.marks)

    @property
    def sentences(self) -> frozenset[str]:
        """The sentences of the known mistakes."""
        return frozenset(mistake.sentence for mistake in self.mistakes)

    def examine(self, block_class: Any, *, seed: int) -> Verdict:
        """Mark a student's class.

        Args:
            block_class: the student's class or function, or an `AnswerProxy` of it.
            seed: seeds inputs and weights.
        """
        failures = [
            _failures(_prepared(self, number, seed), block_class)
            for number in range(len(self.cases))
        ]
        parts = []
        for name, out_of in zip(PARTS, self.marks, strict=True):
            sentences = [failed[name] for failed in failures if name in failed]
            right = len(failures) - len(sentences)
            marks = out_of * right / len(failures)
            parts.append(Part(name, marks, out_of, next(iter(sentences), "")))
        return Verdict(tuple(parts))


class _PreparedCase:
    """One case of an exercise, the same for all students: inputs and references."""

    def __init__(self, exercise: BlockExercise, number: int, seed: int) -> None:
        self.exercise = exercise
        self.case = exercise.cases[number]
        self._seed = f"{seed} {number}"
        generator = self._generator("inputs")
        self.inputs = [
            SCALE
            * torch.randn(batch, self.case.channels, height, width, generator=generator).double()
            for batch, height, width in exercise.sizes
        ]
        # The values of the third input in memory that is not contiguous.
        self.turned = self.inputs[2].transpose(2, 3).contiguous().transpose(2, 3)
        self.batches = self.inputs[2:]
        self._references: dict[int, Reference] = {}

    def candidates(self) -> Iterator[tuple[Mistake | None, Reference]]:
        """Yield the references, then those of the known mistakes."""
        correct = [(None, build) for build in self.exercise.references]
        wrong = [(mistake, mistake.build) for mistake in self.exercise.mistakes]
        for number, (mistake, build) in enumerate((*correct, *wrong)):
            if number not in self._references:
                module = randomize_(self.case.build(build), self._generator(f"weights {number}"))
                self._references[number] = Reference(module)
            yield mistake, self._references[number]

    @property
    def reference(self) -> Reference:
        """A reference with the layers and output shapes that the exercise asks for."""
        return next(self.candidates())[1]

    def _generator(self, what: str) -> torch.Generator:
        return torch.Generator().manual_seed(Random(f"{self._seed} {what}").getrandbits(63))


# All students get the same inputs; an assignment has some fifty cases.
_prepared = lru_cache(maxsize=128)(_PreparedCase)


def _failures(prepared: _PreparedCase, block_class: Any) -> dict[str, str]:
    """Return the parts that are wrong in one case, each with its sentence."""
    try:
        block = open_block(block_class, *prepared.case.arguments, **prepared.case.options)
        layers = block.layers()
    except StudentError as error:
        return dict.fromkeys(PARTS, str(error))

    failed = {}
    if sentence := _wrong_layers(prepared, block, layers):
        failed["parameters"] = sentence
    # A block that agrees with a reference has its shapes; otherwise shapes are compared.
    if failed and (sentence := _wrong_shape(prepared, block)):
        failed["shapes"] = sentence

    found = _recognise(prepared, block, layers)
    if found is None:
        if not failed and (sentence := _wrong_shape(prepared, block)):
            failed["shapes"] = sentence
        unknown = _changed(block) if block.changed_its_input else _unrecognised(block)
        sentence = failed.get("shapes") or failed.get("parameters") or unknown
        return failed | dict.fromkeys(("values", "gradients", "modes"), sentence)

    mistake, match, same_cost = found
    behaviour = _wrong_behaviour(prepared, match, same_cost=same_cost)
    agrees = mistake is None and "values" not in behaviour
    if not agrees and not failed and (sentence := _wrong_shape(prepared, block)):
        failed["shapes"] = sentence
    if mistake is not None:
        also_failed = mistake.costs | (failed.keys() & {"parameters"})
        failed |= dict.fromkeys(also_failed, mistake.sentence)
    return behaviour | failed


def _recognise(
    prepared: _PreparedCase, block: Block, layers: Layers
) -> tuple[Mistake | None, Match, bool] | None:
    """Find the reference that the block agrees with.

    Returns:
        The mistake that the reference makes, if any; the match; and whether the block needs as many
        multiplications as the reference.
    """
    costlier = None
    x = prepared.inputs[0]
    for mistake, reference in prepared.candidates():
        match = find_match(reference, block, layers, x)
        if match is not None:
            if block.multiplications(x) == reference.multiplications(x):
                return mistake, match, True
            costlier = costlier or (mistake, match, False)
    return costlier


def _changed(block: Block) -> str:
    return f"{block.label} changes its input tensor, which other code may need."


def _unrecognised(block: Block) -> str:
    return (
        f"{block.label} does not compute the block of the lecture for any assignment of weights: "
        "check the order of its layers and the places of the stride and the ReLUs."
    )


def _wrong_shape(prepared: _PreparedCase, block: Block) -> str | None:
    for x in prepared.inputs:
        expected = tuple(prepared.reference.values(x).shape)
        try:
            found = tuple(block.forward(x).shape)
        except StudentError as error:
            return _shape_hint(prepared, block, str(error)) or str(error)
        if found != expected:
            return f"{block.label} turns {tuple(x.shape)} into {found} instead of {expected}."
    return None


def _shape_hint(prepared: _PreparedCase, block: Block, sentence: str) -> str | None:
    if "match" not in sentence:
        return None
    try:
        return prepared.exercise.shape_hint(prepared.case, block)
    except StudentError:
        return None


def _wrong_layers(prepared: _PreparedCase, block: Block, layers: Layers) -> str | None:
    wanted = list(prepared.reference.layers.values())
    surplus = Counter[str]()
    for layer in layers.values():
        part = next((one for one in wanted if fits(layer, one)), None)
        if part is None:
            surplus[_described(layer)] += 1
        else:
            wanted.remove(part)
    missing = Counter(_described(layer) for layer in wanted)
    if not surplus and not missing:
        return None
    if not layers:
        return (
            f"{block.label} registers no layers, so nothing would be trained: create layers in "
            "__init__, as attributes or in nn.Sequential or nn.ModuleList, not in a plain list."
        )
    differences = _counted("missing", missing - surplus) + _counted("too many", surplus - missing)
    if not differences:
        return f"{block.label} lacks the bias of a convolution."
    if len(differences) > DIFFERENCES:
        differences[DIFFERENCES:] = [f"and {len(differences) - DIFFERENCES} more"]
    return f"{block.label} has the wrong layers: {'; '.join(differences)}."


def _counted(problem: str, layers: Counter[str]) -> list[str]:
    return [
        f"{layer} {problem}" + (f" ({count} times)" if count > 1 else "")
        for layer, count in layers.items()
    ]


def _described(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Describe a layer, without its bias, such as "3x3 convolution 8 -> 16"."""
    weight = kind_of(shapes).get("weight", ())
    if set(without_bias(shapes)) == {"weight"} and len(weight) == 4:
        out_channels, in_channels, height, width = weight
        return f"{height}x{width} convolution {in_channels} -> {out_channels}"
    if len(weight) == 1 and {"bias", "running_mean", "running_var"} <= set(shapes):
        return f"batch norm of {weight[0]} channels"
    return f"layer with {', '.join(f'{name} {shape}' for name, shape in shapes.items())}"


def _wrong_behaviour(prepared: _PreparedCase, match: Match, *, same_cost: bool) -> dict[str, str]:
    """Compare a block further that agrees with a reference in eval mode on one input."""
    block, found = match.block, dict[str, str]()
    try:
        if sentence := _wrong_values(prepared, match, same_cost=same_cost):
            found["values"] = sentence
    except StudentError as error:
        found["values"] = str(error)
    try:
        if not match.same_gradients(prepared.batches[0]):
            found["gradients"] = (
                f"{block.label} has wrong gradients: look for code that blocks or changes them in "
                "the backward pass, such as detach, no_grad or .data."
            )
    except StudentError as error:
        found["gradients"] = str(error)
    try:
        if not match.same_training(prepared.batches):
            found["modes"] = _wrong_mode(block, match.reference.module)
    except StudentError as error:
        found["modes"] = str(error)
    return found


def _wrong_values(prepared: _PreparedCase, match: Match, *, same_cost: bool) -> str:
    block = match.block
    x = match.wrong_values([*prepared.inputs[1:], prepared.turned])
    if x is not None:
        return f"{block.label} is wrong for inputs of shape {tuple(x.shape)}."
    if block.changed_its_input:
        return _changed(block)
    if block.forward_in_float32(prepared.inputs[0]).dtype != torch.float32:
        return f"{block.label} does not keep the dtype of its input."
    if not same_cost:
        return (
            f"{block.label} computes the right values, but not at the right cost: check the place "
            "of its stride or pooling."
        )
    return ""


def _wrong_mode(block: Block, reference: nn.Module) -> str:
    wrong = f"{block.label} is right in eval mode but not in train mode: "
    if any(isinstance(layer, nn.BatchNorm2d) for layer in reference.modules()):
        hint = "check the input and the statistics of each batch norm, and the place of the stride"
        return f"{wrong}{hint} (slide 45)."
    return f"{wrong}it should have no layer that behaves differently there, such as dropout."
