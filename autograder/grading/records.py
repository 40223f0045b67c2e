"""What was graded, kept: results by the key of their job, and a history that only grows.

    records/ASSIGNMENT/results/KEY.json    a job's cells and its result
    records/ASSIGNMENT/history.jsonl       a line for each notebook that was graded, and for each
                                           student whose marks were written or who was refused

A process may be killed between any two of these writes; none of them leaves half a record.
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
        folder: of the course's records.
        assignment: its name.
    """

    def __init__(self, folder: Path, assignment: str) -> None:
        self.folder = folder / assignment
        self._history = self.folder / "history.jsonl"

    def find(self, key: str) -> NotebookResult | None:
        """The result of a job that was done before; none if a test failed by its own fault."""
        kept = self._kept(key)
        result = None if kept is None else NotebookResult.from_json(kept["result"])
        return None if result is None or result.has_examiner_error else result

    def keep(self, key: str, job: Job, result: NotebookResult) -> None:
        """Remember a result."""
        cells = [asdict(cell) for cell in job.cells]
        with atomic_write(self._path(key)) as temporary:
            temporary.write_text(json.dumps({"cells": cells, "result": result.to_json()}), "utf-8")

    def cells(self, key: str) -> tuple[Cell, ...] | None:
        """The cells of a job that was done before."""
        kept = self._kept(key)
        return None if kept is None else tuple(Cell(**cell) for cell in kept["cells"])

    def graded(
        self, student: str, notebook: str, key: str, job: Job, result: NotebookResult
    ) -> None:
        """Note what became of each exercise in a student's notebook."""
        self._append(_verdict(student, notebook, key, job, result))

    def written(
        self,
        student: str,
        about: dict[str, Any],
        graded: Mapping[str, tuple[str, Job, NotebookResult]],
        not_handed_in: Mapping[str, dict[str, ExerciseResult]],
    ) -> None:
        """Note that all of a student's marks are in the gradebook, and what they came from.

        Args:
            about: what decides them.
            graded: by notebook, the job's key, the job and its result.
            not_handed_in: by notebook, what became of its exercises.
        """
        verdicts = [_verdict(student, notebook, *done) for notebook, done in graded.items()]
        missing = [
            {"student": student, "notebook": notebook, "key": "", "exercises": _plain(findings)}
            for notebook, findings in not_handed_in.items()
        ]
        self._append(*verdicts, *missing, {"student": student, "written": about})

    def refused(self, student: str, sentence: str) -> None:
        """Note why a student could not be graded."""
        self._append({"student": student, "refused": sentence})

    def history(self) -> Iterator[dict[str, Any]]:
        """All lines, the oldest first."""
        if self._history.is_file():
            for line in self._history.read_text("utf-8").splitlines():
                try:
                    yield json.loads(line)
                except ValueError:
                    continue  # a kill cut it short

    def last_written(self) -> dict[str, dict[str, Any]]:
        """By student, what the marks in the gradebook came from."""
        return {line["student"]: line["written"] for line in self.history() if "written" in line}

    def last_refused(self) -> dict[str, str]:
        """By student who is not graded, why."""
        ends = {
            line["student"]: line.get("refused", "")
            for line in self.history()
            if "refused" in line or "written" in line
        }
        return {student: sentence for student, sentence in ends.items() if sentence}

    def last_graded(self) -> dict[tuple[str, str], dict[str, Any]]:
        """By student and notebook, the last verdicts."""
        lines = (line for line in self.history() if "exercises" in line)
        return {(line["student"], line["notebook"]): line for line in lines}

    def _append(self, *lines: dict[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        now = {"time": datetime.now(UTC).isoformat(timespec="seconds")}
        text = "".join(f"{json.dumps(now | line)}\n" for line in lines)
        # It begins with a line's end too, in case a kill cut the last one short.
        with self._history.open("ab") as file:
            file.write(f"\n{text}".encode())
            file.flush()
            os.fsync(file.fileno())

    def _kept(self, key: str) -> dict[str, Any] | None:
        try:
            kept: dict[str, Any] = json.loads(self._path(key).read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return kept

    def _path(self, key: str) -> Path:
        return self.folder / "results" / f"{key}.json"


def _verdict(
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


def _plain(findings: Mapping[str, ExerciseResult]) -> dict[str, dict[str, Any]]:
    return {name: asdict(finding) for name, finding in findings.items()}
