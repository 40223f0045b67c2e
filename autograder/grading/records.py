"""Keeps what was graded: results by the key of their job, and a history that only grows.

    records/ASSIGNMENT/results/KEY.json    a job's cells and its result
    records/ASSIGNMENT/history.jsonl       a line for each notebook that was graded, for each
                                           student whose marks were written, and for each student
                                           who could not be graded

A process may be killed at any time: no write leaves half a record that is taken for a whole one.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from autograder.course.folder import atomic_write
from autograder.grading.job import Cell, ExerciseResult, Job, NotebookResult, versions


class Records:
    """The records of an assignment.

    Args:
        folder: the folder of the course's records.
        assignment: the assignment's name.
    """

    def __init__(self, folder: Path, assignment: str) -> None:
        self.folder = folder / assignment
        self._history = self.folder / "history.jsonl"

    def find(self, key: str) -> NotebookResult | None:
        """The result of a job that was run before; `None` if there is none to rely on.

        After an examiner error the job is worth another try, so its result is not returned.
        """
        saved = self._saved(key)
        result = None if saved is None else NotebookResult.from_json(saved["result"])
        return None if result is None or result.has_examiner_error else result

    def save(self, key: str, job: Job, result: NotebookResult) -> None:
        """Keep the result of a job, together with its cells."""
        cells = [asdict(cell) for cell in job.cells]
        with atomic_write(self._path(key)) as temporary:
            temporary.write_text(json.dumps({"cells": cells, "result": result.to_json()}), "utf-8")

    def cells(self, key: str) -> tuple[Cell, ...] | None:
        """The cells of a job that was run before; `None` if its result is not there."""
        saved = self._saved(key)
        return None if saved is None else tuple(Cell(**cell) for cell in saved["cells"])

    def log_graded(
        self, student: str, notebook: str, key: str, job: Job, result: NotebookResult
    ) -> None:
        """Add a line about each exercise in a student's notebook."""
        self._append(_line(student, notebook, key, job, result))

    def log_written(
        self,
        student: str,
        origin: dict[str, Any],
        graded: Mapping[str, tuple[str, Job, NotebookResult]],
        missing: Mapping[str, dict[str, ExerciseResult]],
    ) -> None:
        """Add the lines that say that all of a student's marks are in the gradebook.

        Args:
            student: the name under submitted/.
            origin: everything that decides the marks.
            graded: by notebook, the key of its job, the job and its result.
            missing: by notebook that was not handed in, the results of its exercises.
        """
        lines = [_line(student, notebook, *done) for notebook, done in graded.items()]
        lines += [
            {"student": student, "notebook": notebook, "key": "", "exercises": _plain(results)}
            for notebook, results in missing.items()
        ]
        self._append(*lines, {"student": student, "written": origin})

    def log_refused(self, student: str, sentence: str) -> None:
        """Add a line that says why a student could not be graded."""
        self._append({"student": student, "refused": sentence})

    def history(self) -> Iterator[dict[str, Any]]:
        """All lines of the history, the oldest first."""
        if self._history.is_file():
            for line in self._history.read_text("utf-8").splitlines():
                try:
                    yield json.loads(line)
                except ValueError:
                    continue  # its writer was killed

    def last_written(self) -> dict[str, dict[str, Any]]:
        """By student, the origin of the marks in the gradebook."""
        return {line["student"]: line["written"] for line in self.history() if "written" in line}

    def last_refused(self) -> dict[str, str]:
        """By student who could not be graded and has not been since, the reason."""
        ends = {
            line["student"]: line.get("refused", "")
            for line in self.history()
            if "refused" in line or "written" in line
        }
        return {student: sentence for student, sentence in ends.items() if sentence}

    def last_graded(self) -> dict[tuple[str, str], dict[str, Any]]:
        """By student and notebook, the last line about its exercises."""
        lines = (line for line in self.history() if "exercises" in line)
        return {(line["student"], line["notebook"]): line for line in lines}

    def _append(self, *lines: dict[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        now = {"time": datetime.now(UTC).isoformat(timespec="seconds")}
        text = "".join(f"{json.dumps(now | line)}\n" for line in lines)
        # A newline comes first as well, in case the last line was cut short by a kill.
        with self._history.open("ab") as file:
            file.write(f"\n{text}".encode())
            file.flush()
            os.fsync(file.fileno())

    def _saved(self, key: str) -> dict[str, Any] | None:
        try:
            saved: dict[str, Any] = json.loads(self._path(key).read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return saved

    def _path(self, key: str) -> Path:
        return self.folder / "results" / f"{key}.json"


def _line(
    student: str, notebook: str, key: str, job: Job, result: NotebookResult
) -> dict[str, Any]:
    return {
        "student": student,
        "notebook": notebook,
        "key": key,
        "seconds": round(result.seconds, 3),
        "sandbox": job.sandbox,
        "limits": asdict(job.limits),
        "versions": versions(),
        "exercises": _plain(result.exercises),
    }


def _plain(results: Mapping[str, ExerciseResult]) -> dict[str, dict[str, Any]]:
    return {name: asdict(result) for name, result in results.items()}
