"""False replies of a student process neither stop the examiner nor earn marks."""

import math
import random
from contextlib import redirect_stdout
from io import StringIO

import pytest
import torch
from torch import Tensor

from autograder.authoring.bank import SOURCE, load
from autograder.checks import EXERCISES, check
from autograder.checks.student import StudentError
from autograder.grading.examiner import Examination, examine
from autograder.sandbox.protocol import Handle
from autograder.sandbox.results import StudentEnded
from tests.autograder.conftest import ASSIGNMENT
from tests.autograder.liar import Liar

NAMES = (
    "leaky_relu", "selu", "conv_output_size", "alexnet_shapes", "receptive_field", "vgg_block",
    "naive_inception", "basic_block", "kaiming_init", "identity_block", "channel_shuffle",
)  # fmt: skip


NAN = torch.full((2, 3), math.nan, dtype=torch.float64)
CONSTANTS = [
    None, True, -1, 0, 2**70, 10**400, 1.5, math.nan, math.inf, "", "x\n- y", b"x", [], (), {},
    [[]], ((),), {"": ()}, {"": {"weight": ()}}, {"weight": {"weight": (2**60,)}},
    Handle(0, "x\n- y"), Handle(10**9, "x"), NAN, torch.ones(()), torch.ones(0),
    *(torch.ones(2, 3).to(dtype) for dtype in (torch.bool, torch.int64, torch.float16)),
    torch.ones(2, 3, dtype=torch.complex128), torch.ones(1, dtype=torch.bfloat16),
]  # fmt: skip
ERRORS = [["student", "sizes must match\n- x"], ["value", "x"], ["memory", ""], ["x", "y"], [], "x"]


def changed(value, rng):
    """Return another value, or a variant of the value."""
    if rng.random() < 0.3:
        return rng.choice(CONSTANTS)
    if isinstance(value, Tensor) and value.numel():
        return rng.choice([
            value.half(), value.to(torch.int64), value.to(torch.complex128), value.bool(),
            value * math.nan, value[..., :-1] if value.dim() else value, value.flatten(), value + 1,
            value.unsqueeze(0), torch.empty(0), value.flatten()[0],
        ])  # fmt: skip
    if isinstance(value, dict) and value:
        key = rng.choice(list(value))
        others = {name: one for name, one in value.items() if name != key}
        kept = {**value, key: changed(value[key], rng)}
        return rng.choice([others, {**others, f"{key}\n- x": value[key]}, kept, kept])
    if isinstance(value, list | tuple) and value:
        at = rng.randrange(len(value))
        kept = [*value[:at], changed(value[at], rng), *value[at + 1 :]]
        return type(value)(rng.choice([value[:at], [*value, value[at]], kept, kept]))
    return rng.choice(CONSTANTS)


def one_lie(seed, questions):
    """Change one of the replies, or all replies of its kind from that one on."""
    rng = random.Random(seed)
    at, count, always = rng.randrange(questions), 0, rng.random() < 0.5
    kind = ""

    def change(question, reply):
        nonlocal count, kind
        count += 1
        here = question.get("method", question["do"])
        if count - 1 == at:
            kind = here
        elif not (always and here == kind):
            return reply
        if rng.random() < 0.15:
            return {"error": rng.choice(ERRORS)}
        return {"value": changed(reply.get("value"), rng)}

    return change


@pytest.fixture(scope="module")
def spaces(original):
    """The namespaces of the correct answers, by exercise."""
    found = {}
    for entry in load(original, ASSIGNMENT):
        if entry.name == SOURCE and entry.exercise in NAMES:
            found[entry.exercise] = {"__name__": "student"}
            exec("\n\n".join(entry.notebook.values()), found[entry.exercise])
    return found


def examined(exercise, space, change):
    names = ", ".join(EXERCISES[exercise].answers)
    source = f"from autograder.checks import check\ncheck('{exercise}', {names}, seed=1).report()"
    with redirect_stdout(StringIO()):
        return examine(source, Liar(dict(space), change))


@pytest.mark.parametrize("exercise", NAMES)
def test_an_honest_process_gets_full_marks(spaces, exercise):
    found = examined(exercise, spaces[exercise], lambda question, reply: reply)
    assert found.marks == EXERCISES[exercise].points


@pytest.mark.parametrize("exercise", NAMES)
def test_a_false_reply_never_raises_an_examiner_error(spaces, exercise):
    count = 0

    def counted(question, reply):
        nonlocal count
        count += 1
        return reply

    examined(exercise, spaces[exercise], counted)
    for seed in range(40):
        try:
            found = examined(exercise, spaces[exercise], one_lie(seed, count))
        except (StudentError, StudentEnded):
            continue
        assert found.marks <= EXERCISES[exercise].points
        assert not any(line.startswith("- x") for line in found.text.splitlines())


@pytest.mark.parametrize("exercise", NAMES)
@pytest.mark.parametrize("value", [{}, NAN, (), math.nan, "x", None])
def test_a_process_that_always_replies_the_same_earns_no_marks(spaces, exercise, value):
    def change(question, reply):
        makes = question["do"] in ("has", "block", "function", "define")
        return reply if makes else {"value": value}

    try:
        found = examined(exercise, spaces[exercise], change)
    except StudentEnded:
        found = Examination("", 0.0)
    assert found.marks == 0


@pytest.mark.parametrize("dtype", [torch.bool, torch.complex64, torch.float16, torch.int8])
@pytest.mark.parametrize("shape", [(10,), ()])
def test_predicted_classes_may_have_any_dtype(dtype, shape):
    def predict(images):
        return torch.zeros(len(images), *shape).to(dtype)

    verdict = check("predict", predict, seed=0)
    assert verdict.marks < 2
    assert verdict.sentences
