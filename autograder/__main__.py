"""`python -m autograder`: release and grade assignments, report on them, test the hidden tests.

Each command imports what it needs itself, because nbgrader alone takes three seconds to import.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from autograder.errors import CourseError

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Release and grade assignments.")

Assignment = Annotated[str, typer.Argument(help="Name of a folder in source/.")]
AssignmentOption = Annotated[str, typer.Option("--assignment", help="Name of a folder in source/.")]
CourseFolder = Annotated[Path, typer.Option("--course", help="Folder with nbgrader_config.py.")]

ASSIGNMENT = "assignment2"
COURSE = Path("assignments")
SAMPLES = Path("_build/samples")
TRUST = (
    "Without the sandbox, code that was handed in can read, write and send whatever you can. "
    "Tests still run in another process, and limits on time, memory and output still hold."
)


@app.command()
def release(
    assignment: Assignment = ASSIGNMENT,
    course: CourseFolder = COURSE,
    out: Annotated[Path, typer.Option(help="Folder for the zip.")] = Path("_build/release"),
) -> None:
    """Make the student bundle, ASSIGNMENT.zip.

    Example: python -m autograder release assignment2 --out _build/release
    """
    from autograder.course.folder import Course
    from autograder.course.release import release

    print(f"Student bundle: {release(Course.at(course), assignment, out)}")


@app.command()
def grade(
    assignment: Assignment = ASSIGNMENT,
    course: CourseFolder = COURSE,
    samples: Annotated[
        bool, typer.Option("--samples", help=f"Grade the bundled samples, in {SAMPLES}.")
    ] = False,
    details: Annotated[
        Path | None, typer.Option(help="Also write the marks of every exercise, as CSV.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Number of workers.", show_default="one for each core")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask cluster that does the work: tcp://…")
    ] = None,
    no_sandbox: Annotated[
        bool, typer.Option("--no-sandbox", help="Trust the submissions; see the guide.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Grade again what has not changed.")
    ] = False,
) -> None:
    """Grade all submissions in submitted/STUDENT/ASSIGNMENT, and print the marks.

    Example: python -m autograder grade assignment2 --jobs 8 --details details.csv
    """
    from rich.console import Console

    from autograder.course.folder import Course
    from autograder.grading.grade import grade
    from autograder.results.table import ProgressBar, print_outcome, write_details

    folder = Course.at(course)
    differences: list[str] = []
    if samples:
        # This imports PyTorch, which the other submissions leave to the workers.
        from autograder.authoring.samples import grade_samples

        outcome, differences = grade_samples(folder, assignment, SAMPLES)
    else:
        if no_sandbox:
            print(TRUST, file=sys.stderr)
        with ProgressBar() as progress:
            outcome = grade(
                folder,
                assignment,
                jobs=jobs,
                scheduler=scheduler,
                sandbox=not no_sandbox,
                force=force,
                progress=progress,
            )
    print_outcome(outcome, Console())
    if details is not None:
        write_details(outcome, details)
        print(f"Every exercise: {details}")
    for difference in differences:
        print(difference)
    if outcome.problems or differences:
        raise typer.Exit(1)


@app.command()
def replay(
    student: Annotated[str, typer.Argument(help="Name of a folder in submitted/.")],
    exercise: Annotated[str, typer.Argument(help="Name of the exercise, such as basic_block.")],
    assignment: AssignmentOption = ASSIGNMENT,
    course: CourseFolder = COURSE,
) -> None:
    """Print why an exercise got its marks, and run its test again.

    Example: python -m autograder replay ada basic_block
    """
    from autograder.course.folder import Course
    from autograder.grading.replay import replay

    print(replay(Course.at(course), assignment, student, exercise))


@app.command()
def doctor(course: CourseFolder = COURSE) -> None:
    """Check everything that grading needs, and say what to do about what is missing.

    Example: python -m autograder doctor
    """
    from autograder.course.folder import Course
    from autograder.grading.doctor import diagnose

    found = diagnose(Course.at(course))
    for one in found:
        print(f"{'ok ' if one.is_fine else 'NOT'}  {one.name:<9} {one.sentence}")
    if not all(one.is_fine for one in found):
        raise typer.Exit(1)


@app.command()
def export(
    out: Annotated[Path, typer.Argument(help="File to write; for Gradescope a folder.")],
    assignment: Assignment = ASSIGNMENT,
    format: Annotated[
        str, typer.Option(help="nbgrader, canvas, moodle or gradescope.")
    ] = "nbgrader",
    course: CourseFolder = COURSE,
) -> None:
    """Write the marks for a learning platform, with late penalties taken off.

    Example: python -m autograder export marks.csv --format canvas
    """
    from autograder.course.folder import Course
    from autograder.results.export import export

    waiting = export(Course.at(course), assignment, format, out)
    print(f"Marks: {out}")
    if waiting:
        print(f"{waiting} students still wait for marks by hand; their totals may rise.")


@app.command()
def feedback(assignment: Assignment = ASSIGNMENT, course: CourseFolder = COURSE) -> None:
    """Write the feedback pages for students, without the hidden tests.

    Example: python -m autograder feedback assignment2
    """
    from autograder.course.folder import Course
    from autograder.results.feedback import feedback

    print(f"Feedback: {feedback(Course.at(course), assignment)}/STUDENT/{assignment}/")


@app.command()
def report(
    assignment: Assignment = ASSIGNMENT,
    course: CourseFolder = COURSE,
    out: Annotated[Path, typer.Option(help="Folder for the page and its tables.")] = Path(
        "_build/report"
    ),
) -> None:
    """Write a report on the class: totals, exercises, misconceptions; as a page and as CSV.

    Example: python -m autograder report assignment2 --out _build/report
    """
    from autograder.course.folder import Course
    from autograder.results.report import report

    print(f"Report: {report(Course.at(course), assignment, out)}")


@app.command()
def leaks(
    paths: Annotated[list[Path], typer.Argument(help="Folders, zips or files.")],
    course: CourseFolder = COURSE,
) -> None:
    """Search files that you want to publish for hidden tests and solutions.

    Example: python -m autograder leaks _build/html _build/release
    """
    from autograder.authoring.leaks import gather, search
    from autograder.course.folder import Course

    secrets = gather(Course.at(course))
    found = [leak for path in paths for leak in search(path, secrets)]
    for leak in found:
        print(f"{leak.file}: {leak.secret.origin}: {leak.secret.text}")
    if found:
        raise typer.Exit(1)
    print(f"None of {len(secrets)} secrets is in {', '.join(map(str, paths))}.")


@app.command()
def selftest(
    assignment: Assignment = ASSIGNMENT,
    course: CourseFolder = COURSE,
    exercise: Annotated[
        str | None, typer.Option(help="Test only this exercise.", show_default="all")
    ] = None,
    seed: Annotated[int, typer.Option(help="Chooses the inputs of the hidden tests.")] = 0,
) -> None:
    """Run the hidden tests on a bank of right and wrong answers, and print how they did.

    Example: python -m autograder selftest --exercise basic_block
    """
    from rich.console import Console

    from autograder.authoring.selftest import gaps, print_judged, selftest
    from autograder.course.folder import Course

    judged = selftest(Course.at(course), assignment, exercise, seed)
    print_judged(judged, Console())
    if any(one.problem for one in judged) or gaps(judged):
        raise typer.Exit(1)


@app.command()
def new_exercise(
    name: Annotated[str, typer.Argument(help="Name of the exercise, such as channel_shuffle.")],
    notebook: Annotated[int, typer.Option(help="Number of the notebook.")],
    kind: Annotated[str, typer.Option(help="What students write: block or function.")],
    points: Annotated[int, typer.Option(help="Points of the exercise.")] = 5,
    assignment: AssignmentOption = ASSIGNMENT,
    course: CourseFolder = COURSE,
) -> None:
    """Make the skeleton of another exercise: its cells, hidden tests and bank, to be filled in.

    Example: python -m autograder new-exercise channel_split --notebook 4 --kind function
    """
    from autograder.authoring.new_exercise import Kind, new_exercise
    from autograder.course.folder import Course

    if kind not in list(Kind):
        raise CourseError(f"{kind} is not a kind of exercise: choose {' or '.join(Kind)}.")
    for path in new_exercise(Course.at(course), assignment, name, notebook, Kind(kind), points):
        print(f"Replace what says WRITE ME in {path}")


def main() -> None:
    """Run a command. An error that a person can fix is printed, and the exit status is 1."""
    try:
        app()
    except CourseError as error:
        print(error, file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
