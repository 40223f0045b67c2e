"""The nbgrader course. Run `nbgrader` in this folder, or `python -m autograder` above it."""

from pathlib import Path

from nbgrader.converters import Autograde, GenerateFeedback
from nbgrader.preprocessors import (
    AssignLatePenalties,
    CheckCellMetadata,
    Execute,
    SaveAutoGrades,
)

from autograder.course.late import LatePenalties, LatePolicy
from autograder.course.secret import use_release_secret
from autograder.grading.nbgrader_steps import IsolatedExecute, SaveMarks
from autograder.results.feedback import PlainFeedback, plain_markdown
from autograder.submissions.repair import RepairSubmission

# What an instructor sets.
COURSE_ID = "convnets"
DEADLINE = "2026-11-13 18:00"
TIME_ZONE = "UTC"  # the university's, as an IANA name, such as "Europe/Zurich"
LATE_PERCENT_PER_DAY = 10  # of the maximum, for every started day
LATE_LAST_DAY = 5  # nothing counts after so many days
# What a hand-in may use; a training may take 150 seconds on a slow core.
LIMITS = {
    "cell_cpu_seconds": 300,
    "cell_wall_seconds": 300,
    "notebook_cpu_seconds": 600,
    "notebook_wall_seconds": 900,
    "memory_mib": 2048,
    "processes": 64,
    "disk_mib": 256,
    "output_kib": 512,
    "notebook_output_mib": 16,
}

HERE = Path(__file__).resolve().parent
use_release_secret(HERE)

c = get_config()  # noqa: F821  (nbgrader provides it)
c.CourseDirectory.root = str(HERE)
c.CourseDirectory.course_id = COURSE_ID
c.LatePolicy.deadline = DEADLINE
c.LatePolicy.time_zone = TIME_ZONE
c.LatePolicy.extensions = str(HERE / "extensions.csv")  # student,until; none if it is not there
c.LatePolicy.percent_per_day = LATE_PERCENT_PER_DAY
c.LatePolicy.last_day = LATE_LAST_DAY
c.AssignLatePenalties.plugin_class = LatePolicy
c.Autograde.sanitize_preprocessors = [
    RepairSubmission,
    *Autograde.sanitize_preprocessors.default(),
]
OURS = {
    AssignLatePenalties: LatePenalties,
    Execute: IsolatedExecute,
    SaveAutoGrades: SaveMarks,
}
c.Autograde.autograde_preprocessors = [
    OURS.get(step, step)
    for step in Autograde.autograde_preprocessors.default()
    if step is not CheckCellMetadata  # it is among the first steps too, and these change none
]
c.GenerateFeedback.preprocessors = [PlainFeedback, *GenerateFeedback.preprocessors.default()]
# What a student wrote runs neither in the feedback nor in formgrader.
c.HTMLExporter.sanitize_html = True
c.HTMLExporter.filters = {"markdown2html": plain_markdown}
c.IsolatedExecute.limits = LIMITS
c.IsolatedExecute.records = str(HERE / "records")
c.Execute.timeout = LIMITS["cell_wall_seconds"]
# Nobody else on the machine may read along; kernels warn of that.
c.KernelManager.transport_encryption = "auto"
# Waiting for a graceful end would cost more than a second a submission.
c.Execute.shutdown_kernel = "immediate"
