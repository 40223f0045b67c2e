"""The deadline and the late policy, as nbgrader plugs them in.

`nbgrader_config.py` states them (`c.LatePolicy`), everything else asks a `LatePolicy`.
"""

import math
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from nbgrader.api import Gradebook, SubmittedNotebook
from nbgrader.plugins import LateSubmissionPlugin
from nbgrader.preprocessors import AssignLatePenalties
from traitlets import Int, Unicode

SECONDS_A_DAY = 24 * 60 * 60


class LatePolicy(LateSubmissionPlugin):  # type: ignore[misc]
    """A share of the maximum for every started day, and nothing after the last one."""

    deadline = Unicode(help='Local time, such as "2026-11-13 18:00".').tag(config=True)
    time_zone = Unicode(help='IANA name, such as "Europe/Zurich".').tag(config=True)
    percent_per_day = Int(help="Of the maximum, for every started day.").tag(config=True)
    last_day = Int(help="The last day late on which something still counts.").tag(config=True)

    @property
    def deadline_in_utc(self) -> datetime:
        """As nbgrader's gradebook keeps it: UTC, without saying so."""
        local = datetime.fromisoformat(self.deadline).replace(tzinfo=ZoneInfo(self.time_zone))
        return local.astimezone(UTC).replace(tzinfo=None)

    @property
    def deadline_in_words(self) -> str:
        local = datetime.fromisoformat(self.deadline)
        return f"{local.day} {local:%B %Y, %H:%M} ({self.time_zone})"

    @property
    def in_words(self) -> str:
        return (
            f"Each day late that has begun costs {self.percent_per_day} % of the maximum. "
            f"After {self.last_day} days nothing counts any more."
        )

    def penalty(self, max_score: float, seconds_late: float) -> float:
        """Marks to take off; never more than there are to earn."""
        days = math.ceil(seconds_late / SECONDS_A_DAY)
        if days > self.last_day:
            return max_score
        return min(max_score, max_score * self.percent_per_day / 100 * days)

    def late_submission_penalty(
        self, student_id: str, score: float, total_seconds_late: float
    ) -> float:
        """nbgrader's question; the preprocessor that asks knows which notebook it is about."""
        asking = self.parent
        notebook = asking.gradebook.find_notebook(asking.notebook_id, asking.assignment_id)
        return self.penalty(float(notebook.max_score), total_seconds_late)


class LatePenalties(AssignLatePenalties):  # type: ignore[misc]
    """nbgrader's own step, with the deadline of the config and room for marks by hand.

    nbgrader cuts a penalty to the marks that a notebook has when it is autograded. Marks that are
    given by hand later would then escape it. We keep the full penalty; whoever adds up stops at
    zero, as nbgrader's export does.
    """

    def preprocess(self, nb: Any, resources: Any) -> Any:
        where = resources["nbgrader"]
        set_deadline(where["db_url"], where["assignment"], LatePolicy(parent=self))
        return super().preprocess(nb, resources)

    def _check_late_penalty(self, notebook: SubmittedNotebook, penalty: float) -> float:
        return penalty


def set_deadline(db_url: str, assignment: str, policy: LatePolicy) -> None:
    """Write the deadline of the config into the gradebook, from where nbgrader reads it."""
    with Gradebook(db_url) as gradebook:
        gradebook.update_or_create_assignment(assignment, duedate=policy.deadline_in_utc)
