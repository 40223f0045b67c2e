"""Proxies for a student's block or function that lives in a student process.

They have the methods of `Block` and `Function` in `checks/student.py`. The type of every answer is
checked here, and an answer of a wrong type ends the process.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import Tensor

from autograder.checks.static_analysis import StudentSource
from autograder.checks.student import AnswerProxy, Block, Function, Layers, StudentError, labelled
from autograder.sandbox.protocol import Handle, ProtocolError
from autograder.sandbox.student_process import StudentProcess, expected


class RemoteAnswer(AnswerProxy):
    """What the cells of a student process defined under a name.

    Args:
        student: the process.
        name: the name that it was defined under.
        written: the source of the cells.
        handle: the handle of a version of ours; `None` for the student's own.
    """

    def __init__(
        self, student: StudentProcess, name: str, written: StudentSource, handle: int | None = None
    ) -> None:
        self.student = student
        self.__name__ = name
        self.written = written
        self.handle = handle

    def block(self, *arguments: Any, **options: Any) -> "RemoteBlock":
        if self.handle is None:
            self.written.check(self.__name__, labelled(self.__name__, arguments, options))
        return RemoteBlock(self.student, self.__name__, *arguments, handle=self.handle, **options)

    def function(self, name: str, forbidden: frozenset[str] = frozenset()) -> "RemoteFunction":
        return RemoteFunction(self.student, self.__name__, forbidden, self.written)

    def define(self, name: str, source: str) -> "RemoteAnswer":
        made = _Remote(
            self.student, "define", name=name, source=source, arguments=(), keywords={}
        ).handle
        return RemoteAnswer(self.student, name, self.written, made.number)

    @contextmanager
    def replacing(self, versions: Mapping[str, tuple[str, str]]) -> Iterator[bool]:
        """See the base class. The process then knows right answers: no later cell may run in it."""
        there = {name: version for name, version in versions.items() if has(self.student, name)}
        if not there:
            yield False
            return
        question: dict[str, Any] = {"arguments": (), "keywords": {}}
        failures = len(self.student.failures)
        self.student.knows_answers = True
        _asked(self.student, "replace", versions=there, **question)
        self.written.replaced = frozenset(there)
        try:
            yield True
        finally:
            self.written.replaced = frozenset()
            del self.student.failures[failures:]
            _asked(self.student, "restore", **question)


class RemoteFunction(Function):
    """A student's function.

    Args:
        student: the process.
        name: the name that the cells defined it under.
        forbidden: the operators of PyTorch that it must not call.
        written: the source of the cells.
    """

    def __init__(
        self,
        student: StudentProcess,
        name: str,
        forbidden: frozenset[str] = frozenset(),
        written: StudentSource | None = None,
    ) -> None:
        super().__init__(None, name, forbidden)
        self._written = written or StudentSource()
        self._remote = _Remote(
            student, "function", name=name, forbidden=sorted(forbidden), arguments=(), keywords={}
        )
        self.handle = self._remote.handle

    def call(self, *arguments: Any, **keywords: Any) -> Any:
        self._written.check(self.name, self.label(arguments, keywords), self.forbidden)
        return self._remote.ask("call", arguments, keywords, may_refuse=True)

    def gradients(self, *arguments: Any, **keywords: Any) -> dict[str, Tensor]:
        return self._remote.tensors("gradients", arguments, keywords, may_refuse=True)


class RemoteBlock(Block):
    """A student's module.

    Args:
        student: the process.
        name: the name of its class.
        arguments: the positional arguments of the class.
        handle: the handle of a class of ours; `None` for the student's own.
        options: the keyword arguments of the class.
    """

    def __init__(
        self,
        student: StudentProcess,
        name: str,
        *arguments: Any,
        handle: int | None = None,
        **options: Any,
    ) -> None:
        self.label = labelled(name, arguments, options)
        self._remote = _Remote(
            student, "block", name=name, handle=handle, arguments=arguments, keywords=options
        )

    def layers(self) -> Layers:
        answer = self._remote.ask("layers")
        with self._remote.student.protocol():
            for layer in expected(answer, dict).values():
                for shape in expected(layer, dict).values():
                    _check_sizes(shape)
        return answer

    def convolutions(self) -> list[tuple[tuple[int, ...], int]]:
        answer = self._remote.ask("convolutions")
        with self._remote.student.protocol():
            for row in expected(answer, list):
                if len(expected(row, tuple)) != 2:
                    raise ProtocolError("A convolution must be the shape of a weight and a stride.")
                _check_sizes(row[0])
                expected(row[1], int)
        return answer

    def load(self, weights: Mapping[str, Tensor]) -> None:
        self._remote.ask("load", (dict(weights),))

    def state(self) -> dict[str, Tensor]:
        return self._remote.tensors("state")

    def change(self, function: Any, name: str) -> bool:
        there = RemoteFunction(self._remote.student, function.__name__)
        return self._one_of(bool, "change", there.handle, name)

    def forward(self, x: Tensor, *, training: bool = False) -> Tensor:
        return self._tensor("forward", x, training=training)

    def forwards(
        self,
        inputs: Sequence[Tensor],
        *,
        training: bool = False,
        weights: Mapping[str, Tensor] | None = None,
    ) -> list[Tensor]:
        options = {"training": training, "weights": None if weights is None else dict(weights)}
        answer = self._remote.ask("forwards", (list(inputs),), options)
        return self._outputs(answer, len(inputs))

    def after_training(
        self, batches: Sequence[Tensor], weights: Mapping[str, Tensor]
    ) -> tuple[list[Tensor], dict[str, Tensor], Tensor]:
        answer = self._remote.ask("after_training", (list(batches), dict(weights)))
        with self._remote.student.protocol():
            if len(expected(answer, tuple)) != 3:
                raise ProtocolError("Training must return outputs, a state and an output.")
            outputs, state, after = answer
            _check_tensors(state)
        return self._outputs(outputs, len(batches)), state, self._checked(after)

    def _outputs(self, answer: Any, count: int) -> list[Tensor]:
        with self._remote.student.protocol():
            if len(expected(answer, list)) != count:
                raise ProtocolError("There must be one output for each input.")
        return [self._checked(output) for output in answer]

    def forward_in_float32(self, x: Tensor) -> Tensor:
        return self._tensor("forward_in_float32", x)

    @property
    def changed_its_input(self) -> bool:  # type: ignore[override]
        return self._one_of(bool, "changed_its_input")

    def multiplications(self, x: Tensor) -> int:
        return self._one_of(int, "multiplications", x)

    def gradients(self, x: Tensor, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return self._remote.tensors("gradients", (x, dict(weights)))

    def _one_of(self, kind: type, method: str, *arguments: Any) -> Any:
        answer = self._remote.ask(method, arguments)
        with self._remote.student.protocol():
            return expected(answer, kind)

    def _tensor(self, method: str, *arguments: Any, **keywords: Any) -> Tensor:
        return self._checked(self._remote.ask(method, arguments, keywords))

    def _checked(self, answer: object) -> Tensor:
        if not isinstance(answer, Tensor):
            kind = answer.kind if isinstance(answer, Handle) else type(answer).__name__
            raise StudentError(f"{self.label} returns a {kind}, not a tensor.")
        return answer


class _Remote:
    """An object in a student process, which its handle names."""

    def __init__(self, student: StudentProcess, action: str, **question: Any) -> None:
        self.student = student
        answer = _asked(student, action, **question)
        with student.protocol():
            self.handle: Handle = expected(answer, Handle)

    def ask(
        self,
        method: str,
        arguments: tuple[Any, ...] = (),
        keywords: Mapping[str, Any] | None = None,
        *,
        may_refuse: bool = False,
    ) -> Any:
        """Call a method of the object.

        Args:
            method: its name.
            arguments: its positional arguments.
            keywords: its keyword arguments.
            may_refuse: whether a ValueError of the student's code stays one; otherwise it becomes
                a `StudentError`.
        """
        ask = self.student.ask if may_refuse else partial(_asked, self.student)
        return ask(
            "method", handle=self.handle.number, method=method, arguments=arguments,
            keywords=dict(keywords or {}),
        )  # fmt: skip

    def tensors(
        self,
        method: str,
        arguments: tuple[Any, ...] = (),
        keywords: Mapping[str, Any] | None = None,
        *,
        may_refuse: bool = False,
    ) -> dict[str, Tensor]:
        """Call a method of the object that returns tensors by name."""
        answer = self.ask(method, arguments, keywords, may_refuse=may_refuse)
        with self.student.protocol():
            _check_tensors(answer)
        return answer


def has(student: StudentProcess, name: str) -> bool:
    """Whether the cells of a student process defined a name."""
    answer = _asked(student, "has", name=name)
    with student.protocol():
        return bool(expected(answer, bool))


def _asked(student: StudentProcess, action: str, **question: Any) -> Any:
    """Ask a student process; a ValueError of its code becomes a `StudentError`."""
    try:
        return student.ask(action, **question)
    except ValueError as error:
        raise StudentError(f"It raised ValueError: {error}") from None


def _check_tensors(named: Any) -> None:
    for tensor in expected(named, dict).values():
        expected(tensor, Tensor)


def _check_sizes(shape: object) -> None:
    for size in expected(shape, tuple):
        if expected(size, int) < 0:
            raise ProtocolError("A size must be a natural number.")
