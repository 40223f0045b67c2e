"""Whole notebooks in the sandbox: what a hand-in does costs it its own marks, and nothing else."""

import nbformat
import pytest
from nbgrader.utils import determine_grade

from autograder import secret
from autograder.checks import EXERCISES
from autograder.isolated import IsolatedExecute
from tests.autograder.conftest import ASSIGNMENT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("isolated"),
    pytest.mark.usefixtures("isolation"),
]

CODE = ("plain_block", "basic_block", "bottleneck", "squeeze_excite", "se_basic_block")
FULL = {name: EXERCISES[name].points for name in CODE}
LIMITS = {"cell_cpu_seconds": 4, "cell_wall_seconds": 8, "memory_mib": 500, "output_kib": 64}


@pytest.fixture
def executed(original, tmp_path):
    """Executes notebook 3 with cells replaced; gives marks by exercise, and what was printed."""
    source = nbformat.read(original.notebooks(ASSIGNMENT)[2], as_version=4)

    def grade(**answers):
        book = nbformat.from_dict(source)
        book.cells = [nbformat.from_dict(cell) for cell in source.cells]
        for cell in book.cells:
            cell.source = answers.get(cell.id, cell.source)
        about = {"metadata": {"path": str(tmp_path)}, "nbgrader": {"notebook": "3"}}
        book, _ = IsolatedExecute(limits=LIMITS).preprocess(book, about)
        cells = {cell.id: cell for cell in book.cells}
        marks = {name: determine_grade(cells[name], None)[0] for name in CODE}
        told = {name: str(cell.get("outputs")) for name, cell in cells.items()}
        return marks, told

    return grade


def test_a_right_notebook_gets_all_marks(executed):
    assert executed()[0] == FULL


BREAKING = {
    "ends its process": "import os\nos._exit(0)",
    "crashes": "import ctypes\nctypes.string_at(0)",
    "loops": "while True: pass",
    "sleeps": "import time\ntime.sleep(1000)",
    "takes memory": "x = bytearray(10**12)",
    "recurses": "def f(): f()\nf()",
    "is no Python": "class Bottleneck(",
    "floods": "while True: print('x' * 10_000)",
    "forks": "import os\nwhile True: os.fork()",
}


@pytest.mark.parametrize("source", BREAKING.values(), ids=BREAKING.keys())
def test_a_cell_that_breaks_costs_its_own_exercise(executed, source):
    marks, told = executed(bottleneck_answer=source)
    assert marks == FULL | {"bottleneck": 0}
    assert "Bottleneck" in told["bottleneck"]


IN_THE_TEST = """
class Bottleneck(nn.Module):
    def __init__(self, in_channels, mid_channels, stride=1):
        super().__init__()
        {}
"""


@pytest.mark.parametrize("name", ["ends its process", "loops", "takes memory", "crashes"])
def test_a_class_that_breaks_when_it_is_tested_costs_its_own_exercise(executed, name):
    source = IN_THE_TEST.format(BREAKING[name].replace("\n", "\n        "))
    marks, _ = executed(bottleneck_answer=source)
    assert marks == FULL | {"bottleneck": 0}


CHEATS = {
    "torch": "torch.allclose = torch.equal = lambda *a, **k: True",
    "builtins": "import builtins\nbuiltins.all = builtins.isinstance = lambda *a: True",
    "the display hook": "import sys\nsys.displayhook = lambda value: print(5)\nsys.displayhook(5)",
    "the shell": "get_ipython().run_cell = lambda *a, **k: None",
    "check": "def check(*a):\n    class V:\n        def report(self): return 5\n    return V()",
    "modules": "import sys\nsys.modules['autograder.checks'] = None",
    "a lie about its class": (
        "class Bottleneck(nn.Module):\n    __class__ = property(lambda self: 5)\n"
        "    def __init__(self, *a, **k): super().__init__()\n"
        "    def forward(self, x): return type('T', (torch.Tensor,), {'__eq__': lambda *a: True})()"
    ),
}


@pytest.mark.parametrize("source", CHEATS.values(), ids=CHEATS.keys())
def test_a_cheat_earns_nothing(executed, source):
    marks, _ = executed(bottleneck_answer=source)
    assert marks["bottleneck"] <= 0.25


# The words are spelt backwards, or the walk would find itself.
WALK = """
import gc, sys
frame, seen = sys._getframe(), list(sys.modules)
while frame:
    seen += map(repr, frame.f_locals.values())
    frame = frame.f_back
for one in gc.get_objects():
    if isinstance(one, (dict, list, tuple)):
        values = list(one.values()) if isinstance(one, dict) else one
        seen += [value for value in values if isinstance(value, str)]
text = " ".join(seen)
words = "egral ta terces", "renimaxe.redargotua", "esicrexEkcolB", "hcrot"
[word[::-1] in text for word in words]
"""


def test_a_walk_through_frames_and_objects_finds_neither_secret_nor_tests(executed, monkeypatch):
    monkeypatch.setenv(secret.VARIABLE, "secret at large")
    _, told = executed(bottleneck_answer=WALK)
    assert "[False, False, False, True]" in told["bottleneck_answer"]
