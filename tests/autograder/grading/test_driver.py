"""Grading a class: whichever process is killed, nothing is lost and nothing is run twice."""

import json
import multiprocessing
import os
import pkgutil
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import Future
from contextlib import closing, nullcontext
from unittest.mock import patch

import nbformat
import psutil
import pytest
from dask.distributed import LocalCluster
from filelock import FileLock
from nbgrader.api import Gradebook
from nbgrader.utils import compute_checksum

from autograder.errors import CourseError
from autograder.grading import nbgrader_steps
from autograder.grading.doctor import diagnose
from autograder.grading.grade import grade
from autograder.grading.gradebook import MarkBook
from autograder.grading.job import State
from autograder.grading.nbgrader_steps import run_in_another_process
from autograder.grading.records import Records
from autograder.grading.replay import replay
from autograder.results.similar import similar
from autograder.sandbox.box import SandboxError
from autograder.submissions.repair import released_cells
from tests.autograder.conftest import ASSIGNMENT, REPOSITORY, handed_in, small_class

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("driver"),
    pytest.mark.usefixtures("isolation"),
]

ONE = 'notebooks = ["3_residual_and_se.ipynb"]\n'
CLASS = {
    "ada": 'start = "source"\n' + ONE,
    "bob": 'start = "source"\n' + ONE + '[bank]\nbasic_block = "ReLU before the addition"',
    "eve": 'start = "release"\n' + ONE,
}
TOTALS = {"ada": 22, "bob": 20, "eve": 0}


def totals(outcome):
    return {student: marks.total for student, marks in outcome.marks.items()}


@pytest.fixture(scope="module")
def class_of_three(original, tmp_path_factory):
    """A graded class of three, which tests do not change."""
    course = small_class(original, tmp_path_factory.mktemp("driver"), **CLASS)
    return course, grade(course, ASSIGNMENT, jobs=1)


@pytest.fixture
def changed(class_of_three, tmp_path):
    """A copy of the graded class, to change."""
    shutil.copytree(class_of_three[0].root, tmp_path / "class")
    return type(class_of_three[0]).at(tmp_path / "class")


def test_a_class_gets_its_marks_and_states(class_of_three):
    _, outcome = class_of_three
    assert totals(outcome) == TOTALS
    assert outcome.problems == {}
    assert outcome.results["eve"]["basic_block"].state is State.MISSING
    assert outcome.results["bob"]["basic_block"].state is State.GRADED
    assert outcome.results["ada"]["vgg_block"].state is State.MISSING  # not handed in


def test_claims_in_metadata_and_pasted_outputs_earn_nothing(changed):
    folder = handed_in(changed, "mallory")
    shutil.copytree(handed_in(changed, "eve"), folder)
    path = folder / "3_residual_and_se.ipynb"
    notebook = nbformat.read(path, nbformat.NO_CONVERT)
    claimed = nbformat.v4.new_output("execute_result", {"text/plain": "100.0"}, execution_count=1)
    for cell in notebook.cells:
        about = cell.metadata.get("nbgrader", {})
        if cell.cell_type == "code" and about:
            about |= {"grade": True, "locked": False, "points": 100, "solution": False}
            cell.source, cell.outputs = "100.0", [claimed]
    nbformat.write(notebook, path)
    assert totals(grade(changed, ASSIGNMENT)) == {**TOTALS, "mallory": 0}


def test_files_that_are_too_large_are_refused_and_named(changed, monkeypatch):
    monkeypatch.setattr(nbgrader_steps, "FILE_BYTES", 8 * 2**20)
    (handed_in(changed, "ada") / "weights.pt").write_bytes(bytes(9 * 2**20))
    outcome = grade(changed, ASSIGNMENT)
    assert "weights.pt" in outcome.problems["ada"]
    assert totals(outcome) == {"bob": 20, "eve": 0}


def test_damaged_submissions_do_not_affect_the_others(changed):
    submitted = changed.root / "submitted"
    for name in ("halves", "many"):
        shutil.copytree(handed_in(changed, "ada"), handed_in(changed, name))
    path = handed_in(changed, "halves") / "3_residual_and_se.ipynb"
    notebook = json.loads(path.read_text())
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"]) + "  # \ud800" * (cell["cell_type"] == "code")
    path.write_text(json.dumps(notebook | {"metadata": {"kernelspec": None}}))
    for number in range(nbgrader_steps.FILES + 1):
        (handed_in(changed, "many") / str(number)).touch()
    for name in ("empty", "file"):
        (submitted / name).mkdir()
    (submitted / "file" / ASSIGNMENT).touch()
    outcome = grade(changed, ASSIGNMENT)
    assert totals(outcome) == {**TOTALS, "halves": 22}
    assert "cannot be saved" in outcome.remarks["halves"]
    assert {name: sentence.startswith(("There is no", "1001 files", str(submitted / "file")))
            for name, sentence in outcome.problems.items()} == dict.fromkeys(
                ("empty", "file", "many"), True)  # fmt: skip


def test_a_class_that_did_not_change_is_not_graded_again(changed, monkeypatch):
    monkeypatch.setattr(
        "autograder.grading.gradebook.MarkBook.enter", lambda *_: pytest.fail("written")
    )
    monkeypatch.setattr(
        "autograder.grading.workers.worker_pool", lambda *_: pytest.fail("workers started")
    )
    outcome = grade(changed, ASSIGNMENT)
    assert totals(outcome) == TOTALS
    assert outcome.unchanged == 3
    assert outcome.results["eve"]["basic_block"].state is State.MISSING


def test_only_a_student_who_handed_in_again_is_graded_again(changed, monkeypatch):
    [ada], [eve] = (list(handed_in(changed, name).glob("*.ipynb")) for name in ("ada", "eve"))
    shutil.copy(ada, eve)
    monkeypatch.setattr(
        "autograder.grading.workers.WorkerPool.submit", lambda *_: pytest.fail("ran")
    )
    outcome = grade(changed, ASSIGNMENT)
    assert totals(outcome) == {**TOTALS, "eve": 22}
    assert outcome.unchanged == 2


STEPS = """
from nbgrader.preprocessors import NbGraderPreprocessor

class Before(NbGraderPreprocessor):
    def preprocess(self, nb, resources):
        for cell in nb.cells:
            if "class BasicBlock" in cell.source:
                cell.source = cell.source.replace("class ", "class Old")
        return nb, resources

class After(NbGraderPreprocessor):
    def preprocess(self, nb, resources):
        nb.metadata["of"] = resources["nbgrader"]["student"]
        return nb, resources

c.Autograde.sanitize_preprocessors.append(Before)
c.Autograde.autograde_preprocessors.append(After)
"""


def test_an_instructors_own_steps_run_before_and_after_the_cells(changed):
    config = changed.root / "nbgrader_config.py"
    config.write_text(config.read_text("utf-8") + STEPS, "utf-8")
    outcome = grade(changed, ASSIGNMENT, jobs=1)
    assert outcome.results["ada"]["basic_block"].marks == 0
    [written] = (changed.root / "autograded" / "ada" / ASSIGNMENT).glob("*.ipynb")
    assert nbformat.read(written, as_version=4).metadata["of"] == "ada"


def test_marks_and_comments_by_hand_survive_another_grading(changed):
    book = MarkBook(changed.db_url, ASSIGNMENT)
    book.give_by_hand("ada", {"degradation": 3.0})
    with Gradebook(changed.db_url) as gradebook:
        where = "3_residual_and_se", ASSIGNMENT, "ada"
        gradebook.find_comment("degradation", *where).manual_comment = "Well argued."
        gradebook.db.commit()
    (handed_in(changed, "ada") / "timestamp.txt").write_text("2026-11-13 17:00:00 UTC")
    outcome = grade(changed, ASSIGNMENT)
    assert outcome.unchanged == 2
    assert outcome.marks["ada"].exercises["degradation"] == 3.0
    assert outcome.marks["ada"].total == TOTALS["ada"] + 3
    with Gradebook(changed.db_url) as gradebook:
        assert gradebook.find_comment("degradation", *where).manual_comment == "Well argued."


def test_a_gradebook_from_a_backup_is_brought_up_to_date(changed):
    with closing(sqlite3.connect(changed.root / "gradebook.db")) as gradebook, gradebook:
        gradebook.execute("UPDATE grade SET auto_score = 0")
    outcome = grade(changed, ASSIGNMENT)
    assert totals(outcome) == TOTALS
    assert outcome.unchanged == 1  # eve's marks are zeros


def test_the_gradebook_is_copied_before_it_is_written(class_of_three):
    [copy] = (class_of_three[0].root / "backups").iterdir()
    with closing(sqlite3.connect(copy)) as before:
        assert before.execute("SELECT COUNT(*) FROM submitted_assignment").fetchone() == (0,)


def test_a_second_grading_at_the_same_time_is_refused(class_of_three):
    with FileLock(class_of_three[0].root / ".grading.lock"):
        command = [
            sys.executable,
            "-m",
            "autograder",
            "grade",
            "--course",
            str(class_of_three[0].root),
        ]
        second = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert second.returncode == 1
    assert "Another process is grading" in second.stderr


def test_the_workers_of_a_cluster_grade_the_class(changed):
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster:
        address = cluster.scheduler_address
        assert totals(grade(changed, ASSIGNMENT, force=True, scheduler=address)) == TOTALS


def test_workers_with_several_threads_are_refused(changed):
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=":0") as cluster,
        pytest.raises(CourseError, match="--nthreads 1"),
    ):
        grade(changed, ASSIGNMENT, force=True, scheduler=cluster.scheduler_address)


def test_a_cluster_that_does_not_answer_is_named(changed, monkeypatch):
    monkeypatch.setattr("autograder.grading.workers.CONNECT_SECONDS", 1)
    with pytest.raises(CourseError, match=r"No Dask scheduler answers at tcp://127.0.0.1:9"):
        grade(changed, ASSIGNMENT, force=True, scheduler="tcp://127.0.0.1:9")


def test_a_test_that_itself_fails_leaves_its_exercise_to_a_person(changed):
    with Gradebook(changed.db_url) as gradebook:
        book = gradebook.find_notebook("3_residual_and_se", ASSIGNMENT)
        [test] = [cell for cell in book.source_cells if cell.name == "bottleneck"]
        test.source = "1 / 0"
        [released] = [cell for cell in released_cells(book) if cell.name == "bottleneck"]
        test.checksum = compute_checksum(released.as_released())
        gradebook.db.commit()
    outcome = grade(changed, ASSIGNMENT, jobs=1)
    assert outcome.results["ada"]["bottleneck"].state is State.EXAMINER_ERROR
    assert outcome.marks["ada"].exercises["bottleneck"] is None
    assert outcome.marks["ada"].exercises["basic_block"] == 5


class WorkersWithoutSandbox:
    """Workers on a machine on which the sandbox does not start."""

    def submit(self, job):
        future = Future()
        future.set_exception(SandboxError("No sandbox here."))
        return future


def test_grading_stops_where_the_sandbox_does_not_start(changed, monkeypatch):
    monkeypatch.setattr(
        "autograder.grading.workers.worker_pool", lambda *_: nullcontext(WorkersWithoutSandbox())
    )
    with pytest.raises(CourseError, match="No sandbox here"):
        grade(changed, ASSIGNMENT, force=True)


def test_a_replay_shows_the_last_result_and_runs_the_test_again(class_of_three):
    found = replay(class_of_three[0], ASSIGNMENT, "bob", "basic_block")
    assert found.then.marks == found.now.marks == 3
    assert found.is_same
    assert "comes before the addition" in str(found)
    assert str(found.then.seed) in str(found)


@pytest.mark.parametrize(
    ("student", "exercise", "sentence"),
    [
        ("zoe", "basic_block", "no graded notebook"),
        ("bob", "own_block", "Choose one of: plain_block"),
        ("bob", "vgg_block", "2_vgg_and_inception: The notebook is not handed in"),
    ],
)
def test_a_replay_of_an_unknown_exercise_names_the_known_ones(
    class_of_three, student, exercise, sentence
):
    with pytest.raises(CourseError, match=sentence):
        replay(class_of_three[0], ASSIGNMENT, student, exercise)


def test_similar_submissions_are_listed(changed):
    graded = changed.root / "autograded"
    shutil.copytree(graded / "ada", graded / "zoe")
    table = similar(changed, ASSIGNMENT)
    assert ["ada", "zoe", 1, 1] in table.to_numpy().tolist()
    assert "eve" not in set(table["student"]) | set(table["other"])


def test_the_doctor_finds_nothing_wrong_here(class_of_three):
    assert [one for one in diagnose(class_of_three[0]) if not one.is_fine] == []


@pytest.mark.parametrize(
    ("old", "new", "name", "sentence"),
    [
        ('TIME_ZONE = "UTC"', 'TIME_ZONE = "Mars/Olympus"', "deadline", "TIME_ZONE"),
        ('"memory_mib": 2048', '"memory_mib": 0', "limits", "memory_mib must be a number above 0"),
        ('"memory_mib": 2048', '"memory_mib": 10**9', "limits", "grade with --jobs 1"),
        ("Execute: IsolatedExecute", "Execute: Execute", "config", "IsolatedExecute"),
    ],
)
def test_the_doctor_says_what_to_do(changed, old, new, name, sentence, monkeypatch):
    monkeypatch.setattr("autograder.grading.doctor.available", lambda: "")  # it takes seconds
    config = changed.root / "nbgrader_config.py"
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new))
    [wrong] = [one for one in diagnose(changed) if not one.is_fine and one.name == name]
    assert sentence in wrong.sentence


def rows(course):
    """Everything that the gradebook holds about bob's cells."""
    with Gradebook(course.db_url) as gradebook:
        submission = gradebook.find_submission(ASSIGNMENT, "bob")
        return {
            (book.name, one.name): (
                book.late_submission_penalty,
                getattr(one, "auto_score", None),
                getattr(one, "needs_manual_grade", None),
                getattr(one, "auto_comment", None),
            )
            for book in submission.notebooks
            for one in (*book.grades, *book.comments)
        }


def cells(course):
    """What bob's graded notebook shows."""
    path = course.root / "autograded" / "bob" / ASSIGNMENT / "3_residual_and_se.ipynb"
    return nbformat.read(path, nbformat.NO_CONVERT).cells


def test_the_driver_writes_what_nbgraders_own_command_writes(changed):
    (handed_in(changed, "bob") / "timestamp.txt").write_text("2026-11-14 17:00:00 UTC")
    grade(changed, ASSIGNMENT)
    ours = rows(changed), cells(changed)
    assert any(penalty for penalty, *_ in ours[0].values())
    with closing(sqlite3.connect(changed.root / "gradebook.db")) as gradebook, gradebook:
        gradebook.execute("UPDATE grade SET auto_score = 7, needs_manual_grade = 1")
    shutil.rmtree(changed.root / "records")
    nbgrader = [sys.executable, "-m", "nbgrader", "autograde", ASSIGNMENT, "--student", "bob"]
    subprocess.run([*nbgrader, "--force"], cwd=changed.root, check=True, capture_output=True)
    theirs = rows(changed), cells(changed)
    assert theirs == ours
    [line] = Records(changed.records, ASSIGNMENT).history()
    assert line["exercises"]["basic_block"]["marks"] == 3


def test_a_killed_examiner_is_reported(monkeypatch):
    monkeypatch.setattr(nbgrader_steps, "run_here", os._exit)
    with pytest.raises(CourseError, match="examiner's process was killed"):
        run_in_another_process(1)


WRITES = (
    "autograder.grading.marks_writer.back_up",
    "autograder.grading.marks_writer.write_notebooks",
    "autograder.grading.gradebook.MarkBook.enter",
    "autograder.grading.gradebook._enter",
    "autograder.grading.records.Records.log_written",
)


@pytest.mark.parametrize("when", ["before", pytest.param("after", marks=pytest.mark.sweep)])
@pytest.mark.parametrize("write", WRITES)
def test_a_driver_that_is_killed_at_a_write_leaves_all_marks_of_a_student_or_none(
    changed, write, when
):
    with closing(sqlite3.connect(changed.root / "gradebook.db")) as gradebook, gradebook:
        gradebook.execute("UPDATE grade SET auto_score = 0")
    process = multiprocessing.get_context("fork").Process(
        target=grade_until, args=(changed, write, when)
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    with closing(sqlite3.connect(changed.root / "gradebook.db")) as gradebook:
        assert gradebook.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    for student, entry in MarkBook(changed.db_url, ASSIGNMENT).entries().items():
        assert entry.marks.total in (0, TOTALS[student])
    assert totals(grade(changed, ASSIGNMENT)) == TOTALS


def grade_until(course, write, when):
    """Grade, and be killed before or after the first call of the function `write`."""
    original = pkgutil.resolve_name(re.sub(r"\.(\w+\.)?(\w+)$", r":\1\2", write))

    def last(*arguments):
        if when == "after":
            original(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    with (
        patch(write, last),
        patch("autograder.grading.workers.worker_pool", lambda *_: nullcontext()),
    ):
        grade(course, ASSIGNMENT)


VICTIMS = ["driver", "multiprocessing.spawn", "autograder.sandbox.inside.fork_server"]


@pytest.mark.sweep  # kills at each write are tested above
@pytest.mark.parametrize("seed", range(3))
def test_a_grading_that_was_killed_is_continued_by_the_next(original, tmp_path, seed):
    course = small_class(original, tmp_path, ada=CLASS["ada"], bob=CLASS["bob"])
    command = [sys.executable, "-m", "autograder", "grade", "--course", str(course.root)]
    command += ["--jobs", "1"]
    chance = random.Random(seed)
    process = subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    time.sleep(chance.uniform(6, 20))
    kill(process, VICTIMS[seed % len(VICTIMS)], chance)
    process.wait()
    with closing(sqlite3.connect(course.root / "gradebook.db")) as gradebook:
        assert gradebook.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert totals(grade(course, ASSIGNMENT, jobs=1)) == {"ada": 22, "bob": 20}


def kill(process, victim, chance):
    """Kill a process of a grading: one with these words in its command line, else the driver."""
    found = []
    if process.poll() is None:
        found = [
            one
            for one in psutil.Process(process.pid).children(recursive=True)
            if victim in " ".join(one.cmdline())
        ]
    (chance.choice(found) if found else process).kill()
