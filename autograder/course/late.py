"""The deadline, extensions and the late policy, as a plugin of nbgrader.

They are set in `nbgrader_config.py` (`c.LatePolicy`). Extensions are listed in a table next to it,
`extensions.csv`:

    student,until
    ada,2026-11-20 18:00
"""

import csv
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from nbgrader.api import Gradebook, SubmittedNotebook
from nbgrader.plugins import LateSubmissionPlugin
from nbgrader.preprocessors import AssignLatePenalties
from traitlets import Int, Unicode

from autograder.errors import CourseError

SECONDS_A_DAY = 24 * 60 * 60
COLUMNS = ["student", "until"]


class LatePolicy(LateSubmissionPlugin):  # type: ignore[misc]
    """Takes off a share of the maximum for every started day, and all marks after the last day."""

    deadline = Unicode(help='Local time, such as "2026-11-13 18:00".').tag(config=True)
    time_zone = Unicode(help='IANA name, such as "Europe/Zurich".').tag(config=True)
    extensions = Unicode(help="A CSV file with the columns student,until; it may be missing.").tag(
        config=True
    )
    percent_per_day = Int(help="Of the maximum, for every started day.").tag(config=True)
    last_day = Int(help="The last day late on which something still counts.").tag(config=True)

    @property
    def deadline_in_utc(self) -> datetime:
        """The deadline as nbgrader's gradebook stores it: in UTC, without a time zone."""
        return self._in_utc(self.deadline)

    def _in_utc(self, local: str) -> datetime:
        there = datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(self.time_zone))
        return there.astimezone(UTC).replace(tzinfo=None)

    @property
    def extended(self) -> dict[str, timedelta]:
        """The time after the deadline that some students have, by student.

        Raises:
            CourseError: the table cannot be read, or a line of it is not valid.
        """
        path = Path(self.extensions)
        if not self.extensions or not path.exists():
            return {}
        try:
            lines = csv.reader(path.read_text("utf-8-sig").splitlines())
            found: dict[str, timedelta] = {}
            for line in lines:
                entries = [entry.strip() for entry in line]
                if any(entries) and entries != COLUMNS:
                    student, more = self._extension(entries)
                    if student in found:
                        raise ValueError(f"{student} is listed twice")
                    found[student] = more
        except (OSError, ValueError, csv.Error) as error:
            raise CourseError(
                f"{path}, line {lines.line_num} ({error}): write one line for each student, "
                'such as "ada,2026-11-20 18:00".'
                if not isinstance(error, OSError | UnicodeError)
                else f"{path} cannot be read ({error}): save it as CSV in UTF-8."
            ) from None
        return found

    def _extension(self, entries: list[str]) -> tuple[str, timedelta]:
        if len(entries) != len(COLUMNS) or not all(entries):
            raise ValueError(
                f"{len(list(filter(None, entries)))} entries in place of a student and a time"
            )
        more = self._in_utc(entries[1]) - self.deadline_in_utc
        if more <= timedelta():
            raise ValueError(f"{entries[1]} is not after the deadline, {self.deadline}")
        return entries[0], more

    @property
    def deadline_in_words(self) -> str:
        """The deadline for students: "13 November 2026, 18:00 (UTC)"."""
        local = datetime.fromisoformat(self.deadline)
        return f"{local.day} {local:%B %Y, %H:%M} ({self.time_zone})"

    @property
    def in_words(self) -> str:
        """The late policy for students, in two sentences."""
        return (
            f"Each started day after the deadline costs {self.percent_per_day} % of the maximum. "
            f"After {self.last_day} days a submission earns nothing."
        )

    def penalty(self, max_score: float, seconds_late: float) -> float:
        """The marks to take off, at most the maximum.

        Args:
            max_score: the marks that can be earned.
            seconds_late: seconds after the deadline.
        """
        days = math.ceil(seconds_late / SECONDS_A_DAY)
        if days > self.last_day:
            return max_score
        return min(max_score, max_score * self.percent_per_day / 100 * days)

    def late_submission_penalty(
        self, student_id: str, score: float, total_seconds_late: float
    ) -> float:
        """The marks to take off, which nbgrader asks for in the preprocessor of a notebook."""
        asking = self.parent
        notebook = asking.gradebook.find_notebook(asking.notebook_id, asking.assignment_id)
        return self.penalty(float(notebook.max_score), total_seconds_late)


class LatePenalties(AssignLatePenalties):  # type: ignore[misc]
    """nbgrader's own step, with the deadline of the config and the full penalty.

    nbgrader limits a penalty to the marks that a notebook has when it is autograded, so that marks
    given by hand later would escape it. This step keeps the full penalty. Sums of marks stop at
    zero, as in nbgrader's export.
    """

    def preprocess(self, nb: Any, resources: Any) -> Any:
        where = resources["nbgrader"]
        policy = LatePolicy(parent=self)
        set_deadline(where["db_url"], where["assignment"], policy)
        with Gradebook(where["db_url"]) as gradebook:
            submission = gradebook.find_submission(where["assignment"], where["student"])
            submission.extension = policy.extended.get(where["student"])
            gradebook.db.commit()
        return super().preprocess(nb, resources)

    def _check_late_penalty(self, notebook: SubmittedNotebook, penalty: float) -> float:
        return penalty


def set_deadline(db_url: str, assignment: str, policy: LatePolicy) -> None:
    """Write the deadline of the config into the gradebook, where nbgrader looks for it."""
    with Gradebook(db_url) as gradebook:
        gradebook.update_or_create_assignment(assignment, duedate=policy.deadline_in_utc)
