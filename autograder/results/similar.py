"""Finds submissions that look alike, for a person to compare; they do not affect any marks.

Answers are compared by winnowed fingerprints of their tokens (Schleimer, Wilkerson and Aiken,
2003). Names, comments, layout and the code that was handed out do not count.
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

# Two submissions are listed if they share at least this part of the code of one of them, and at
# least this number of characters (without layout, comments and names).
LEAST_SHARE = 0.8
LEAST_SHARED = 200
LISTED = 30
# In characters of filtered code. Shorter pieces, of a line or two, are alike in all right answers.
TOKENS, WINDOW = 40, 20
LONGEST = 200_000  # characters of a submission that are read; real ones have a tenth of that


def similar(course: Course, assignment: str) -> pd.DataFrame:
    """A table of pairs of students whose answers look alike, the most similar first."""
    released = _fingerprint(course.released(assignment), None)
    prints = {
        folder.parent.name: _fingerprint(folder, released)
        for folder in sorted(course.root.glob(f"autograded/*/{assignment}"))
    }
    students = list(prints)
    shared = overlaps(list(prints.values()))
    shares = shared / np.maximum([[one.token_coverage] for one in prints.values()], 1)
    alike = (shared >= LEAST_SHARED) & (np.maximum(shares, shares.T) >= LEAST_SHARE)
    rows, others = np.nonzero(np.triu(alike, 1))
    pairs = [
        (students[one], students[other], *np.round([shares[one, other], shares[other, one]], 2))
        for one, other in zip(rows, others, strict=True)
    ]
    pairs.sort(key=lambda pair: -sum(pair[2:]))
    columns = ["student", "other", "share of the one", "share of the other"]
    return pd.DataFrame(pairs[:LISTED], columns=columns)


def overlaps(prints: Sequence[CodeFingerprint]) -> np.ndarray[Any, np.dtype[np.int_]]:
    """The number of characters of each submission that are also in each other one.

    It equals what `copydetect.compare_files` finds for each pair, but compares a submission with
    all others at once, because a large class has half a million pairs.

    Args:
        prints: the fingerprints of S submissions.

    Returns:
        The numbers, of shape (S, S); row i and column j have the characters of i that are in j.
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
            # Each common place covers its tokens, except those that the next one covers.
            common = has[:, columns]
            end = at[-1] + TOKENS
            here_or_after = np.where(common, at, end)[:, ::-1]
            following = np.minimum.accumulate(here_or_after, axis=1)[:, -2::-1]
            new = np.full(common.shape, TOKENS, np.int32)
            new[:, :-1] = np.minimum(following - at[:-1], TOKENS)
            found[row] = (new * common).sum(axis=1)
    return found


def _fingerprint(folder: Path, released: CodeFingerprint | None) -> CodeFingerprint:
    """The fingerprint of all answers in a folder of notebooks."""
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
