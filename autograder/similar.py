"""Which hand-ins look alike, for a person to look at; nobody is ever marked by it.

Answers are compared by winnowed fingerprints of tokens (Schleimer, Wilkerson and Aiken, 2003), in
which names, comments and layout do not count, and what was handed out does not either.
"""

from io import StringIO
from itertools import combinations
from pathlib import Path

import pandas as pd
from copydetect import CodeFingerprint, compare_files

from autograder.course import Course, read_notebook

# Of one's own code, what two hand-ins must share to be listed.
LEAST = 0.8
LEAST_SHARED = 200  # characters without layout, comments and names
LISTED = 30
# Characters of filtered code: what is shorter than a line or two is alike in all right answers.
TOKENS, WINDOW = 40, 20


def similar(course: Course, assignment: str) -> pd.DataFrame:
    """Pairs of students whose answers look alike, the most similar first."""
    released = _fingerprint(course.released(assignment), None)
    prints = {
        folder.parent.name: _fingerprint(folder, released)
        for folder in sorted(course.root.glob(f"autograded/*/{assignment}"))
    }
    pairs = []
    for (one, first), (other, second) in combinations(prints.items(), 2):
        shared, (share, other_share), _ = compare_files(first, second)
        if shared >= LEAST_SHARED and max(share, other_share) >= LEAST:
            pairs.append((one, other, round(float(share), 2), round(float(other_share), 2)))
    pairs.sort(key=lambda pair: -sum(pair[2:]))
    columns = ["student", "other", "share of the one", "share of the other"]
    return pd.DataFrame(pairs[:LISTED], columns=columns)


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
        "answers.py", TOKENS, WINDOW, boilerplate, fp=StringIO("\n".join(answers))
    )
