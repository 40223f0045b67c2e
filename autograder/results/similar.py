"""Which hand-ins look alike, for a person to look at; nobody is ever marked by it.

Answers are compared by winnowed fingerprints of tokens (Schleimer, Wilkerson and Aiken, 2003), in
which names, comments and layout do not count, and what was handed out does not either.
"""

from collections import Counter
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from copydetect import CodeFingerprint

from autograder.course.folder import Course, read_notebook

# Of one's own code, what two hand-ins must share to be listed.
LEAST = 0.8
LEAST_SHARED = 200  # characters without layout, comments and names
LISTED = 30
# Characters of filtered code: what is shorter than a line or two is alike in all right answers.
TOKENS, WINDOW = 40, 20
LONGEST = 200_000  # characters of a hand-in that are looked at; real ones have a tenth


def similar(course: Course, assignment: str) -> pd.DataFrame:
    """Pairs of students whose answers look alike, the most similar first."""
    released = _fingerprint(course.released(assignment), None)
    prints = {
        folder.parent.name: _fingerprint(folder, released)
        for folder in sorted(course.root.glob(f"autograded/*/{assignment}"))
    }
    students = list(prints)
    shared = overlaps(list(prints.values()))
    shares = shared / np.maximum([[one.token_coverage] for one in prints.values()], 1)
    alike = (shared >= LEAST_SHARED) & (np.maximum(shares, shares.T) >= LEAST)
    rows, others = np.nonzero(np.triu(alike, 1))
    pairs = [
        (students[one], students[other], *np.round([shares[one, other], shares[other, one]], 2))
        for one, other in zip(rows, others, strict=True)
    ]
    pairs.sort(key=lambda pair: -sum(pair[2:]))
    columns = ["student", "other", "share of the one", "share of the other"]
    return pd.DataFrame(pairs[:LISTED], columns=columns)


def overlaps(prints: Sequence[CodeFingerprint]) -> np.ndarray[Any, np.dtype[np.int_]]:
    """Characters of each (row) that are in each other (column): `copydetect.compare_files`.

    It compares one with all others at once, as a class has half a million pairs.
    """
    times = Counter(key for one in prints for key in one.hashes)
    column = {key: at for at, key in enumerate(key for key, count in times.items() if count > 1)}
    has = np.zeros((len(prints), len(column)), bool)
    for row, one in enumerate(prints):
        has[row, [column[key] for key in one.hashes & column.keys()]] = True
    found = np.zeros((len(prints), len(prints)), int)
    for row, one in enumerate(prints):
        shared = one.hashes & column.keys()
        places = sorted((at, column[key]) for key in shared for at in one.hash_idx[key])
        if places:
            at, columns = np.array(places, np.int32).T
            # Each common place covers its tokens, but for those that the next one covers.
            common = has[:, columns]
            end = at[-1] + TOKENS
            here_or_after = np.where(common, at, end)[:, ::-1]
            following = np.minimum.accumulate(here_or_after, axis=1)[:, -2::-1]
            new = np.full(common.shape, TOKENS, np.int32)
            new[:, :-1] = np.minimum(following - at[:-1], TOKENS)
            found[row] = (new * common).sum(axis=1)
    return found


def _fingerprint(folder: Path, released: CodeFingerprint | None) -> CodeFingerprint:
    """Of all answers in a folder of notebooks."""
    answers = [
        "".join(cell["source"])
        for path in sorted(folder.glob("*.ipynb"))
        for cell in read_notebook(path)["cells"]
        if cell["cell_type"] == "code" and cell["metadata"].get("nbgrader", {}).get("solution")
    ]
    boilerplate = [] if released is None else [*released.hashes]
    return CodeFingerprint(
        "answers.py", TOKENS, WINDOW, boilerplate, fp=StringIO("\n".join(answers)[:LONGEST])
    )
