"""Configuration of the nbgrader course.

Run `nbgrader` in this folder, or `python -m autograder` in the one above it.
"""

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

# Settings for the instructor.
COURSE_ID = "convnets"
DEADLINE = "2026-11-13 18:00"
TIME_ZONE = "UTC"  # IANA name of the university's time zone, such as "Europe/Zurich"
LATE_PERCENT_PER_DAY = 10  # per cent of the maximum for every day that has begun
LATE_LAST_DAY = 5  # days after the deadline; later submissions earn nothing
# Limits for a submission; a training may take 150 seconds on a slow core.
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
c.LatePolicy.extensions = str(HERE / "extensions.csv")  # columns student,until; may be missing
c.LatePolicy.percent_per_day = LATE_PERCENT_PER_DAY
c.LatePolicy.last_day = LATE_LAST_DAY
c.AssignLatePenalties.plugin_class = LatePolicy
c.Autograde.sanitize_preprocessors = [
    RepairSubmission,
    *Autograde.sanitize_preprocessors.default(),
]
REPLACED_STEPS = {
    AssignLatePenalties: LatePenalties,
    Execute: IsolatedExecute,
    SaveAutoGrades: SaveMarks,
}
c.Autograde.autograde_preprocessors = [
    REPLACED_STEPS.get(step, step)
    for step in Autograde.autograde_preprocessors.default()
    if step is not CheckCellMetadata  # a sanitizing step already, and these change no metadata
]
c.GenerateFeedback.preprocessors = [PlainFeedback, *GenerateFeedback.preprocessors.default()]
# Student code runs neither in feedback pages nor in formgrader.
c.HTMLExporter.sanitize_html = True
c.HTMLExporter.filters = {"markdown2html": plain_markdown}
c.IsolatedExecute.limits = LIMITS
c.IsolatedExecute.records = str(HERE / "records")
c.Execute.timeout = LIMITS["cell_wall_seconds"]
# Encrypted, so that other users of the machine cannot read the traffic; kernels warn otherwise.
c.KernelManager.transport_encryption = "auto"
# Waiting for a kernel to end by itself would take more than a second for each submission.
c.Execute.shutdown_kernel = "immediate"
