"""Checks everything that grading needs, and says what to do about what is missing."""

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psutil
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from nbgrader.api import Gradebook
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from autograder.course.folder import CONFIG, Course
from autograder.course.secret import FILE
from autograder.errors import CourseError
from autograder.grading.nbgrader_steps import IsolatedExecute
from autograder.sandbox.limits import Limits
from autograder.sandbox.session import available

FREE_MIB = 2048
# The memory of a worker besides its student process: the examiner and the fork server.
WORKER_MIB = 1500


@dataclass(frozen=True)
class Diagnosis:
    """What the doctor says about one thing.

    Args:
        name: of what was checked.
        sentence: what was found, or what to do about it.
        is_fine: whether grading can rely on it.
    """

    name: str
    sentence: str
    is_fine: bool


def diagnose(course: Course) -> list[Diagnosis]:
    """Check everything that grading needs."""
    found = []
    for check in (_config, _deadline, _sandbox, _limits, _secret, _database, _kernel, _disk):
        name = check.__name__.strip("_")
        try:
            found.append(Diagnosis(name, check(course), is_fine=True))
        except CourseError as error:
            found.append(Diagnosis(name, str(error), is_fine=False))
    return found


def _config(course: Course) -> str:
    steps = course.config().Autograde.autograde_preprocessors
    if IsolatedExecute not in steps:
        raise CourseError(
            f"{course.root / CONFIG} does not set IsolatedExecute, so nbgrader would run tests in "
            "the students' own kernel. Copy the c.Autograde lines from the course's original file."
        )
    return f"{course.root / CONFIG} can be read"


def _deadline(course: Course) -> str:
    policy = course.late_policy()
    count = len(policy.extended)
    return policy.deadline_in_words + (f", extended for {count} students" if count else "")


def _sandbox(course: Course) -> str:
    if reason := available():
        raise CourseError(reason)
    return "student code can be isolated"


def _limits(course: Course) -> str:
    try:
        limits = Limits(**IsolatedExecute(config=course.config()).limits)
    except (TypeError, ValueError) as error:
        raise CourseError(f"LIMITS in {course.root / CONFIG}: {error}") from None
    workers = os.cpu_count() or 1
    needed = workers * (limits.memory_mib + WORKER_MIB)
    total = psutil.virtual_memory().total >> 20
    if needed > total:
        raise CourseError(
            f"{workers} workers may need {needed} MiB, but this machine has {total}: "
            f"grade with --jobs {max(1, total // (limits.memory_mib + WORKER_MIB))}."
        )
    return f"{workers} workers need at most {needed} of {total} MiB"


def _secret(course: Course) -> str:
    course.config()  # makes the secret if there is none
    path = course.root / FILE
    if path.stat().st_mode & 0o077:
        raise CourseError(f"Others on this machine can read {path}: run chmod 600 {path}")
    return "nobody else can read the release's secret"


def _database(course: Course) -> str:
    url = course.db_url
    try:
        with Gradebook(url) as gradebook:
            gradebook.db.execute(text("CREATE TABLE doctor (one INTEGER)"))
            gradebook.db.execute(text("DROP TABLE doctor"))
            gradebook.db.rollback()
    except (SQLAlchemyError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise CourseError(
            f"The gradebook cannot be written ({reason}): close the programs that use it, or take "
            "the newest copy from backups/."
        ) from None
    return "the gradebook can be written"


def _kernel(course: Course) -> str:
    try:
        KernelSpecManager().get_kernel_spec("python3")
    except NoSuchKernel:
        raise CourseError(
            "JupyterLab has no kernel python3: run `make course`, or "
            "`python -m ipykernel install --sys-prefix`."
        ) from None
    return "JupyterLab has the kernel python3"


def _disk(course: Course) -> str:
    for folder in (Path(tempfile.gettempdir()), course.root):
        free = shutil.disk_usage(folder).free >> 20
        if free < FREE_MIB:
            raise CourseError(
                f"{folder} has {free} MiB free; {FREE_MIB} are needed. Free some space, or set "
                "TMPDIR to another disk."
            )
    return f"{free} MiB are free"
