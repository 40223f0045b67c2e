"""The result of a test cell: marks, a sentence for the student, or an error in the test itself."""

import pytest

from autograder.checks import EXERCISES
from autograder.checks.functions import Call, FunctionExercise, WrongFunction
from autograder.checks.static_analysis import StudentSource
from autograder.grading.examiner import ExaminerError, examine
from tests.autograder.liar import Liar


def test_a_name_that_the_student_did_not_define_costs_the_marks():
    found = examine("answer(3)", Liar({}))
    assert (found.marks, found.text) == (0, "- answer is not defined.\n")


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n    answer += 1\nf()",
        "raise NameError('answer')",
        "raise NameError(name='answer')\n1.0",
    ],
)
def test_any_other_undefined_name_is_an_examiner_error(source):
    with pytest.raises(ExaminerError):
        examine(source, Liar({"answer": 3}))


def test_an_undefined_name_in_a_check_is_an_examiner_error(monkeypatch):
    def examine_wrongly(self, *answers, seed):
        return answer  # noqa: F821

    monkeypatch.setattr(FunctionExercise, "examine", examine_wrongly)
    source = "from autograder.checks import check\ncheck('elu', answer).report()"
    with pytest.raises(ExaminerError, match="NameError"):
        examine(source, Liar({"answer": 3}))


def test_a_students_error_is_reported_in_one_line():
    def change(question, reply):
        return {"error": ["student", "It raised.\n- ReLU comes before the addition.\u2028- x"]}

    source = "from autograder.checks import check\ncheck('elu', elu).report()"
    found = examine(source, Liar({}, change))
    assert found.text == "- It raised. - ReLU comes before the addition. - x\n"


def test_a_function_without_the_watch_is_read_as_text():
    source = (
        "from torch.nn import functional\ndef elu(x, alpha=1.0): return functional.elu(x, alpha)"
    )
    space = {}
    exec(source, space)
    cell = "from autograder.checks import check\ncheck('elu', elu).report()"

    def unwatched(question, reply):
        if question.get("method") == "call":
            return {"value": space["elu"](*question["arguments"], **question["keywords"])}
        return reply

    assert examine(cell, Liar(space, unwatched)).marks > 0
    found = examine(cell, Liar(space, unwatched), StudentSource([source]))
    assert found.marks == 0
    assert "calls PyTorch's ready-made elu" in found.text


def exercise(reference, *mistakes, impossible=False):
    calls = [Call("values", (3,), impossible=impossible)]
    wrong = tuple(WrongFunction("A mistake.", function) for function in mistakes)
    return FunctionExercise("ours", "ours", reference, lambda _: calls, {"values": 1}, wrong)


def failing(error):
    def function(x):
        raise error

    return function


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError(), ValueError(), TypeError()])
def test_a_reference_that_fails_is_an_examiner_error(monkeypatch, error):
    monkeypatch.setitem(EXERCISES, "ours", exercise(failing(error)))
    source = "from autograder.checks import check\ncheck('ours', f).report()"
    with pytest.raises(ExaminerError):
        examine(source, Liar({"f": lambda x: x}))


def test_only_an_impossible_call_may_raise_an_error():
    refused = exercise(failing(ValueError()), impossible=True)
    assert refused.examine(failing(ValueError("no")), seed=0).marks == 1
    assert refused.examine(lambda x: x, seed=0).marks == 0


def test_a_known_mistake_may_raise_an_error_but_not_run_out_of_memory():
    def wrong(x):
        raise KeyError

    broken = exercise(lambda x: x, failing(KeyError()))
    assert broken.examine(wrong, seed=0).sentences == ("A mistake.",)
    with pytest.raises(MemoryError):
        exercise(lambda x: x, failing(MemoryError())).examine(wrong, seed=0)


SELU_CELL = "from autograder.checks import check\ncheck('selu', selu).report()"


def told(wrong_elu, selu):
    """The examination of a selu that calls a wrong elu, and the student that was examined."""
    space = {}
    exec(f"import torch\n{wrong_elu}\n{selu}", space)
    student = Liar(space)
    return examine(SELU_CELL, student), student


def test_the_code_of_right_earlier_answers_cannot_be_read():
    spy = """
def selu(x):
    code = str(elu.__code__.co_names) + str(elu.__code__.co_consts)
    raise RuntimeError("seen: " + code + str(elu(x)))
"""
    found, student = told("def elu(x, alpha=1.0): return x", spy)
    assert student.knows_answers
    assert "expm1" not in found.text
    assert "expm1" not in str(student.failures)
    assert "seen: ('x',)" in found.text or "seen: ()" in found.text


def test_an_answer_that_uses_a_right_earlier_answer_gets_its_marks():
    right = "def selu(x): return 1.0507009873554804934 * elu(x, 1.6732632423543772848)"
    found, student = told("def elu(x, alpha=1.0): return x", right)
    assert student.knows_answers
    assert found.marks == EXERCISES["selu"].points


def test_right_earlier_answers_are_sent_only_if_they_are_used():
    student = Liar({"selu": lambda x: x})
    examine(SELU_CELL, student)
    assert not student.knows_answers


def test_known_sentences_are_still_printed_after_right_answers_were_sent():
    selu = "def selu(x): return 1.0507009873554804934 * elu(x)"
    found, _ = told("def elu(x, alpha=1.0): return x * 0", selu)
    known = EXERCISES["selu"].sentences
    assert any(sentence in known for sentence in found.text.replace("- ", "").splitlines())
