"""Answers the examiner's questions in the student process.

Student code runs in the same process and can change anything here, so an answer proves nothing;
the examiner checks it.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from autograder.checks import student
from autograder.checks.student import (
    Block,
    Function,
    StudentError,
    defined_from,
    student_code,
)
from autograder.sandbox.inside.shell import Shell, run_cell
from autograder.sandbox.protocol import Handle, Message, encode

# The methods of a block or a function that the examiner may call.
METHODS = {
    kind: frozenset(name for name in dir(kind) if not name.startswith("_"))
    for kind in (Block, Function)
}


class Responder:
    """Answers questions about what the cells defined.

    Args:
        shell: the shell that runs the cells; its namespace holds what they define.
        output_bytes: the most that a cell may output.
    """

    def __init__(self, shell: Shell, output_bytes: int) -> None:
        self.shell = shell
        self.output_bytes = output_bytes
        self.objects: list[object] = []
        self._replaced: dict[str, Any] = {}

    def refer(self, value: object) -> object:
        """What is sent in place of a value that is not data: a number, or a handle."""
        if isinstance(value, np.generic):
            return value.item()
        self.objects.append(value)
        return Handle(len(self.objects) - 1, type(value).__name__)

    def answer(self, question: Message) -> Message:
        """Answer a question; never raises.

        Returns:
            what `run_cell` returns, {"value": value}, or {"error": [kind, sentence]} with the kind
            "student", "value" or "memory".
        """
        try:
            match question["do"]:
                case "run_cell":
                    return run_cell(self.shell, question["source"], self.output_bytes)
                case "has":
                    return {"value": question["name"] in self.shell.user_ns}
                case action:
                    arguments = tuple(map(self._resolved, question["arguments"]))
                    keywords = {
                        name: self._resolved(value) for name, value in question["keywords"].items()
                    }
                    return {"value": self._dispatch(action, question, arguments, keywords)}
        except StudentError as error:
            return {"error": ["student", str(error)]}
        except ValueError as error:
            return {"error": ["value", str(error)]}
        except MemoryError:
            return {"error": ["memory", ""]}
        except BaseException as error:
            return {"error": ["student", f"It raised {type(error).__name__}."]}

    def _dispatch(
        self, action: str, question: Message, arguments: tuple[Any, ...], keywords: dict[str, Any]
    ) -> object:
        if action == "method":
            target: Any = self.objects[question["handle"]]
            method = question["method"]
            if method == "changed_its_input":
                return target.changed_its_input
            if method not in METHODS.get(type(target), ()):
                raise ValueError(f"{method} cannot be asked.")
            return getattr(target, method)(*arguments, **keywords)
        match action:
            case "define":
                return self.refer(defined_from(question["name"], question["source"]))
            case "replace":
                return self._replace(question["versions"])
            case "restore":
                self.shell.user_ns.update(self._replaced)
                return True
        name = question["name"]
        value = self._defined(name, question.get("handle"))
        match action:
            case "call":
                with student_code(name):
                    return value(*arguments, **keywords)
            case "function":
                return self.refer(Function(value, name, frozenset(question["forbidden"])))
            case "block":
                return self.refer(Block(value, *arguments, **keywords))
        raise ValueError(f"{action} cannot be asked.")

    def _defined(self, name: str, handle: int | None) -> Any:
        """The object that a handle names if there is one, else what the cells defined."""
        if handle is not None:
            return self.objects[handle]
        if name not in self.shell.user_ns:
            raise StudentError(f"{name} is not defined.")
        return self.shell.user_ns[name]

    def _replace(self, versions: dict[str, tuple[str, str]]) -> bool:
        """Put right versions in the place of the student's earlier answers."""
        names = self.shell.user_ns
        self._replaced = {name: names[name] for name in versions if name in names}
        for name in self._replaced:
            names[name] = defined_from(*versions[name])
        return bool(self._replaced)

    def _resolved(self, value: object) -> object:
        """The object that a handle names; for a `Function`, the student's function itself."""
        if not isinstance(value, Handle):
            return value
        target = self.objects[value.number]
        return target._function if isinstance(target, Function) else target


def hide() -> None:
    """Make our modules unavailable to `import`; this process keeps using those that it has.

    They no longer count as a library that an answer may not come from: they contain no answers, and
    everything that a cell prints passes through them.
    """
    student.LIBRARIES -= {"autograder"}
    for name in [name for name in sys.modules if name.partition(".")[0] == "autograder"]:
        del sys.modules[name]
    sys.path[:] = [folder for folder in sys.path if not Path(folder, "autograder").is_dir()]


def rehearse() -> None:
    """Do everything once: PyTorch spends seconds on imports at the first observed operator."""
    x = torch.ones(1, 1, 3, 3, dtype=torch.float64)
    Function(torch.neg, "neg").call(x)
    block = Block(nn.Conv2d, 1, 1, 3)
    block.load(block.state())
    block.forward(x, training=True)
    block.forward_in_float32(x)
    block.gradients(x, {})
    block.multiplications(x)
    encode({"x": x, "layers": block.layers()})
