"""What a student process answers. It runs beside the student's code: its answers are claims."""

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

# What the examiner may ask of a block or a function.
METHODS = {
    kind: frozenset(name for name in dir(kind) if not name.startswith("_"))
    for kind in (Block, Function)
}


class Responder:
    """Answers questions about what the cells defined.

    Args:
        shell: in whose namespace the cells ran.
        output_bytes: what a cell may show.
    """

    def __init__(self, shell: Shell, output_bytes: int) -> None:
        self.shell = shell
        self.output_bytes = output_bytes
        self.objects: list[object] = []
        self._replaced: dict[str, Any] = {}

    def refer(self, value: object) -> object:
        """What crosses in place of a value that is no data."""
        if isinstance(value, np.generic):
            return value.item()
        self.objects.append(value)
        return Handle(len(self.objects) - 1, type(value).__name__)

    def answer(self, question: Message) -> Message:
        """The answer, or {"error": [kind, sentence]} with kind "student" or "value"."""
        try:
            match question["do"]:
                case "run_cell":
                    return run_cell(self.shell, question["source"], self.output_bytes)
                case "has":
                    return {"value": question["name"] in self.shell.user_ns}
                case action:
                    arguments = tuple(map(self._meant, question["arguments"]))
                    keywords = {
                        name: self._meant(value) for name, value in question["keywords"].items()
                    }
                    return {"value": self._asked(action, question, arguments, keywords)}
        except StudentError as error:
            return {"error": ["student", str(error)]}
        except ValueError as error:
            return {"error": ["value", str(error)]}
        except MemoryError:
            return {"error": ["memory", ""]}
        except BaseException as error:
            return {"error": ["student", f"It raised {type(error).__name__}."]}

    def _asked(
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
        value = self._answer(name, question.get("handle"))
        match action:
            case "call":
                with student_code(name):
                    return value(*arguments, **keywords)
            case "function":
                return self.refer(Function(value, name, frozenset(question["forbidden"])))
            case "block":
                return self.refer(Block(value, *arguments, **keywords))
        raise ValueError(f"{action} cannot be asked.")

    def _answer(self, name: str, handle: int | None) -> Any:
        """What the cells defined under a name, or what was handed out for it."""
        if handle is not None:
            return self.objects[handle]
        if name not in self.shell.user_ns:
            raise StudentError(f"{name} is not defined.")
        return self.shell.user_ns[name]

    def _replace(self, versions: dict[str, tuple[str, str]]) -> bool:
        """Put ours where the cells look their own earlier answers up."""
        names = self.shell.user_ns
        self._replaced = {name: names[name] for name in versions if name in names}
        for name in self._replaced:
            names[name] = defined_from(*versions[name])
        return bool(self._replaced)

    def _meant(self, value: object) -> object:
        """What a handle names; the function of the student itself for a `Function`."""
        if not isinstance(value, Handle):
            return value
        target = self.objects[value.number]
        return target._function if isinstance(target, Function) else target


def hide() -> None:
    """Take our modules away from `import`: the process goes on with those that it has.

    They make no answers, and what a student shows passes through them.
    """
    student.LIBRARIES -= {"autograder"}
    for name in [name for name in sys.modules if name.partition(".")[0] == "autograder"]:
        del sys.modules[name]
    sys.path[:] = [folder for folder in sys.path if not Path(folder, "autograder").is_dir()]


def rehearse() -> None:
    """Do each thing once; PyTorch imports for seconds at its first observed operator."""
    x = torch.ones(1, 1, 3, 3, dtype=torch.float64)
    Function(torch.neg, "neg").call(x)
    block = Block(nn.Conv2d, 1, 1, 3)
    block.load(block.state())
    block.forward(x, training=True)
    block.forward_in_float32(x)
    block.gradients(x, {})
    block.multiplications(x)
    encode({"x": x, "layers": block.layers()})
