"""`python -m autograder`: release, grade, report, search for leaks, test the tests.

What a command needs is imported inside it: nbgrader alone takes three seconds.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from autograder.errors import CourseError

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Release and grade assignments.")

Assignment = Annotated[str, typer.Argument(help="Folder name under source/.")]
CourseFolder = Annotated[Path, typer.Option("--course", help="Folder with nbgrader_config.py.")]

ASSIGNMENT = "assignment2"
COURSE = Path("assignments")
SAMPLES = Path("_build/samples")
WIDTH_IN_A_PIPE = 120
TRUST = (
    "Without the sandbox, code that was handed in can read, write and send whatever you can. "
    "Tests still run in another process, and limits on time, memory and output still hold."
)


@app.command()
def release(
    assignment: Assignment = ASSIGNMENT,
    course: CourseFolder = COURSE,
    out: Annotated[Path, typer.Option(help="Where the zip goes.")] = Path("_build/release"),
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
        int | None, typer.Option(min=1, help="Notebooks at one time; one a core if left out.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask cluster to work on: tcp://…")
    ] = None,
    no_sandbox: Annotated[
        bool, typer.Option("--no-sandbox", help="Trust what was handed in; see the guide.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Do again what has been graded before.")
    ] = False,
) -> None:
    """Grade all that is in submitted/STUDENT/ASSIGNMENT, and print the marks by notebook.

    Example: python -m autograder grade assignment2 --jobs 8 --details details.csv
    """
    from rich.console import Console

    from autograder.course.folder import Course
    from autograder.grading.grade import grade
    from autograder.results.table import Bar, print_outcome, write_details

    folder = Course.at(course)
    console = Console(width=None if sys.stdout.isatty() else WIDTH_IN_A_PIPE)
    differences: list[str] = []
    if samples:
        from autograder.authoring.samples import (
            grade_samples,  # with PyTorch, which the others do without
        )

        outcome, differences = grade_samples(folder, assignment, SAMPLES)
    else:
        if no_sandbox:
            print(TRUST, file=sys.stderr)
        with Bar() as bar:
            outcome = grade(
                folder,
                assignment,
                jobs=jobs,
                scheduler=scheduler,
                sandbox=not no_sandbox,
                again=again,
                progress=bar,
            )
    print_outcome(outcome, console)
    if details is not None:
        write_details(outcome, details)
        print(f"Every exercise: {details}")
    for difference in differences:
        console.print(difference, markup=False)
    if outcome.problems or differences:
        raise typer.Exit(1)


@app.command()
def why(
    student: Annotated[str, typer.Argument(help="As under submitted/.")],
    exercise: Annotated[str, typer.Argument(help="Such as basic_block.")],
    assignment: Annotated[str, typer.Option(help="Folder name under source/.")] = ASSIGNMENT,
    course: CourseFolder = COURSE,
) -> None:
    """Print the last verdict on a student's exercise, and run its test once more.

    Example: python -m autograder why ada basic_block
    """
    from autograder.course.folder import Course
    from autograder.grading.replay import why

    print(why(Course.at(course), assignment, student, exercise))


@app.command()
def doctor(course: CourseFolder = COURSE) -> None:
    """Look at everything that grading needs, and say what to do about what is missing.

    Example: python -m autograder doctor
    """
    from autograder.course.folder import Course
    from autograder.grading.doctor import examine

    found = examine(Course.at(course))
    for name, sentence, will_do in found:
        print(f"{'ok ' if will_do else 'NOT'}  {name:<9} {sentence}")
    if not all(will_do for _, _, will_do in found):
        raise typer.Exit(1)


@app.command()
def export(
    out: Annotated[Path, typer.Argument(help="File, or folder for Gradescope.")],
    assignment: Assignment = ASSIGNMENT,
    form: Annotated[str, typer.Option(help="nbgrader, canvas, moodle or gradescope.")] = "nbgrader",
    course: CourseFolder = COURSE,
) -> None:
    """Write the marks for a learning platform, late penalties taken off.

    Example: python -m autograder export marks.csv --form canvas
    """
    from autograder.course.folder import Course
    from autograder.results.export import export

    waiting = export(Course.at(course), assignment, form, out)
    print(f"Marks: {out}")
    if waiting:
        print(f"{waiting} students still wait for marks by hand; their totals will rise.")


@app.command()
def feedback(assignment: Assignment = ASSIGNMENT, course: CourseFolder = COURSE) -> None:
    """Write the pages that students get back, without the hidden tests.

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
    """Write how the class did: totals, exercises, misconceptions; a page and CSV files.

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
    """Search what is to be published for hidden tests and solutions.

    Example: python -m autograder leaks _build/html _build/release
    """
    from autograder.authoring.leaks import gather, search
    from autograder.course.folder import Course

    secrets = gather(Course.at(course))
    findings = [finding for path in paths for finding in search(path, secrets)]
    for finding in findings:
        print(f"{finding.file}: {finding.secret.origin}: {finding.secret.text}")
    if findings:
        raise typer.Exit(1)
    print(f"None of {len(secrets)} secrets is in {', '.join(map(str, paths))}.")


@app.command()
def selftest(
    assignment: Assignment = ASSIGNMENT,
    course: CourseFolder = COURSE,
    exercise: Annotated[str | None, typer.Option(help="Only this one.")] = None,
    seed: Annotated[int, typer.Option(help="Chooses the hidden tests' inputs.")] = 0,
) -> None:
    """Test the hidden tests on wrong and right answers, and print what they found.

    Example: python -m autograder selftest --exercise basic_block
    """
    from rich.console import Console

    from autograder.authoring.selftest import gaps, print_judged, selftest
    from autograder.course.folder import Course

    judged = selftest(Course.at(course), assignment, exercise, seed)
    print_judged(judged, Console(width=None if sys.stdout.isatty() else WIDTH_IN_A_PIPE))
    if any(one.problem for one in judged) or gaps(judged):
        raise typer.Exit(1)


@app.command()
def new_exercise(
    name: Annotated[str, typer.Argument(help="Such as channel_shuffle.")],
    notebook: Annotated[int, typer.Option(help="The notebook's number.")],
    kind: Annotated[str, typer.Option(help="What students write: block or function.")],
    points: Annotated[int, typer.Option(help="Of the exercise.")] = 5,
    assignment: Annotated[str, typer.Option(help="Folder name under source/.")] = ASSIGNMENT,
    course: CourseFolder = COURSE,
) -> None:
    """Make the skeleton of another exercise: cells, hidden tests and a bank, to be written.

    Example: python -m autograder new-exercise channel_split --notebook 4 --kind function
    """
    from autograder.authoring.new_exercise import Kind, new_exercise
    from autograder.course.folder import Course

    if kind not in list(Kind):
        raise CourseError(f"{kind} is no kind of exercise: choose {' or '.join(Kind)}.")
    for path in new_exercise(Course.at(course), assignment, name, notebook, Kind(kind), points):
        print(f"Write what says WRITE ME in {path}")


def main() -> None:
    """Run a command; what a person must put right is said in a sentence, with exit status 1."""
    try:
        app()
    except CourseError as error:
        print(error, file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
