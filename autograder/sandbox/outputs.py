"""Checks the outputs of a cell, because a student process may send anything in their place."""

from typing import Any

from autograder.sandbox.protocol import ProtocolError

Output = dict[str, Any]


def checked(outputs: object, limit: int) -> list[Output]:
    """Rebuild outputs field by field, in nbformat's form.

    Args:
        outputs: what the student process sent.
        limit: the most characters that all outputs together may have.

    Raises:
        ProtocolError: they are not outputs of a notebook, or too long.
    """
    if not isinstance(outputs, list):
        raise ProtocolError("Outputs must be a list.")
    rebuilt = [_checked(output) for output in outputs]
    if sum(map(length, rebuilt)) > limit:
        raise ProtocolError("The outputs are longer than they may be.")
    return rebuilt


def errors_alone(outputs: list[Output]) -> list[Output]:
    """The last error among outputs, shortened and without its traceback; none if none failed."""
    return [
        {
            **output,
            "ename": output["ename"][:100],
            "evalue": output["evalue"][:200],
            "traceback": [],
        }
        for output in outputs
        if output["output_type"] == "error"
    ][-1:]


def _checked(output: object) -> Output:
    match output:
        case {"output_type": "stream", "name": "stdout" | "stderr" as name, "text": str(text)}:
            return {"output_type": "stream", "name": name, "text": text}
        case {"output_type": "display_data", "data": dict(data)}:
            return {"output_type": "display_data", "data": _texts(data), "metadata": {}}
        case {
            "output_type": "execute_result",
            "data": dict(data),
            "execution_count": int(count),
        } if type(count) is int and 0 <= count < 10**9:
            return {
                "output_type": "execute_result",
                "data": _texts(data),
                "metadata": {},
                "execution_count": count,
            }
        case {
            "output_type": "error",
            "ename": str(name),
            "evalue": str(value),
            "traceback": list(lines),
        } if all(isinstance(line, str) for line in lines):
            return {"output_type": "error", "ename": name, "evalue": value, "traceback": lines}
    raise ProtocolError("An output is of an unknown kind.")


def _texts(data: dict[str, Any]) -> dict[str, str]:
    if not all(isinstance(value, str) for value in data.values()):
        raise ProtocolError("The data of an output must be text.")
    return data


def length(output: Output) -> int:
    """The characters of an output, and a hundred for the output itself."""
    data = output.get("data", {})
    texts = [*data, *data.values(), *output.get("traceback", [])]
    texts += [output.get(name, "") for name in ("text", "ename", "evalue")]
    return 100 + sum(map(len, texts))
