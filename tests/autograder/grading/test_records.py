import pytest

from autograder.grading.job import Cell, ExerciseResult, Job, NotebookResult, State
from autograder.grading.records import Records
from autograder.sandbox.limits import Limits

JOB = Job((Cell("x = 1"), Cell("check", "basic_block")), {}, Limits(), "secret")
FOUND = ExerciseResult(State.GRADED, 3.5, "", 7)
RESULT = NotebookResult([[], []], {"basic_block": FOUND}, 1.5)


@pytest.fixture
def records(tmp_path):
    return Records(tmp_path, "assignment2")


def test_a_saved_result_is_found(records):
    records.save("key", JOB, RESULT)
    assert records.find("key") == RESULT
    assert records.cells("key") == JOB.cells


def test_an_unknown_or_damaged_result_is_not_found(records):
    assert records.find("key") is None
    records.save("key", JOB, RESULT)
    (records.folder / "results" / "key.json").write_text('{"cells"')
    assert records.find("key") is None


def test_after_an_examiners_error_a_test_runs_again_and_can_be_replayed(records):
    error = ExerciseResult(State.EXAMINER_ERROR, None, "", 7)
    records.save("key", JOB, NotebookResult([[], []], {"basic_block": error}))
    assert records.find("key") is None
    assert records.cells("key") == JOB.cells


def test_the_history_holds_results_limits_and_versions(records):
    records.log_graded("ada", "3_residual_and_se", "key", JOB, RESULT)
    [line] = records.history()
    assert line["exercises"]["basic_block"] == {
        "state": "graded",
        "marks": 3.5,
        "sentence": "",
        "seed": 7,
    }
    assert line["limits"]["memory_mib"] == Limits().memory_mib
    assert set(line["versions"]) == {"python", "numpy", "torch", "torchvision"}
    assert line["key"] == "key"
    assert line["sandbox"] is True


def test_a_line_that_was_cut_short_does_not_affect_the_others(records):
    records.log_written("ada", {"timestamp": "1"}, {}, {})
    history = records.folder / "history.jsonl"
    history.write_text(history.read_text() + '{"student": "bob", "wri')
    records.log_written("eve", {"timestamp": "2"}, {}, {})
    assert set(records.last_written()) == {"ada", "eve"}


def test_a_student_who_is_graded_later_is_not_refused_any_more(records):
    records.log_refused("ada", "Her file is empty.")
    records.log_refused("bob", "His file is empty.")
    records.log_written("ada", {}, {}, {})
    assert records.last_refused() == {"bob": "His file is empty."}


def test_a_notebook_that_was_not_handed_in_has_results_too(records):
    missing = ExerciseResult(State.MISSING, 0.0, "The notebook is not handed in.", 7)
    graded = {"3_residual_and_se": ("key", JOB, RESULT)}
    records.log_written("ada", {}, graded, {"5_assemble_and_train": {"predict": missing}})
    graded_last = records.last_graded()
    assert graded_last["ada", "3_residual_and_se"]["key"] == "key"
    assert graded_last["ada", "5_assemble_and_train"]["exercises"]["predict"]["state"] == "missing"
