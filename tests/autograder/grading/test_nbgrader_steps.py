"""Whole notebooks in the sandbox: a submission can lose its own marks, and can do nothing else."""

import nbformat
import pytest
from nbgrader.utils import determine_grade

from autograder.checks import EXERCISES
from autograder.course import secret
from autograder.grading.nbgrader_steps import IsolatedExecute, run_here
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
    """Executes notebook 3 with some cells replaced; returns marks and outputs, by exercise."""
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
    "crashes": "import os\nos.abort()",
    "loops": "while True: pass",
    "sleeps": "import time\ntime.sleep(1000)",
    "takes memory": "x = bytearray(10**12)",
    "recurses": "def f(): f()\nf()",
    "is not Python": "class Bottleneck(",
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
def test_a_class_that_breaks_during_its_test_costs_its_own_exercise(executed, name):
    source = IN_THE_TEST.format(BREAKING[name].replace("\n", "\n        "))
    marks, _ = executed(bottleneck_answer=source)
    assert marks == FULL | {"bottleneck": 0}


LIES = """
class Bottleneck(nn.Module):
    def __init__(self, *arguments, **options):
        super().__init__()
    def forward(self, x):
        return Liar()
class Liar{base}:
    {method}
"""


def lie(method, base=""):
    return LIES.replace("{method}", method).replace("{base}", base)


CHEATS = {
    "__float__": lie("__float__ = __int__ = __index__ = lambda self: 1"),
    "__reduce__": lie("def __reduce__(self): return eval, ('5',)"),
    "__array__": lie("def __array__(self, *a, **k): raise SystemExit", "(list)"),
    "__torch_function__": lie(
        "__torch_function__ = classmethod(lambda *a, **k: True)", "(torch.Tensor)"
    ),
    "__class__": lie("__class__ = property(lambda self: torch.Tensor)"),
    "numpy": "import numpy\nnumpy.allclose = numpy.array_equal = lambda *a, **k: True\n"
    "numpy.ndarray = numpy.generic = object\ntorch.Tensor.numpy = lambda self: 1",
    "the watch": "import autograder.checks.student as s\ns.refuse = lambda *a: None\n"
    "from torchvision.models.resnet import Bottleneck",
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


@pytest.mark.sweep  # the next test has fewer walls, and test_static_analysis.py tests that one
@pytest.mark.parametrize("source", CHEATS.values(), ids=CHEATS.keys())
def test_a_cheat_earns_nothing(executed, source):
    marks, _ = executed(bottleneck_answer=source)
    assert marks["bottleneck"] <= 0.25


@pytest.fixture
def without_static_analysis(monkeypatch):
    """Without the static analysis of cells, so that only the sandbox protects the tests."""
    monkeypatch.setattr("autograder.grading.nbgrader_steps.run_in_another_process", run_here)
    monkeypatch.setattr("autograder.grading.run_job.tampering", lambda *_: "")


@pytest.mark.parametrize("source", CHEATS.values(), ids=CHEATS.keys())
@pytest.mark.usefixtures("without_static_analysis")
def test_a_cheat_without_static_analysis_earns_nothing(executed, source):
    marks, _ = executed(bottleneck_answer=source)
    assert marks["bottleneck"] <= 0.25


def test_a_cell_that_reaches_into_the_process_is_not_run(executed):
    marks, told = executed(bottleneck_answer=f"print('ran')\n{CHEATS['the watch']}")
    assert marks == FULL | {"bottleneck": 0}
    assert "no answer needs autograder" in told["bottleneck_answer"]
    assert "no answer needs autograder" in told["bottleneck"]
    assert "'ran" not in told["bottleneck_answer"]


# The student's code switches off the watch in the frame that calls it, then uses a library's block.
UNWATCHED = """
import sys
from torchvision.models.resnet import BasicBlock as Theirs
class Bottleneck(nn.Module):
    def __init__(self, i, m, stride=1):
        super().__init__()
        frame = sys._getframe()
        while "LIBRARIES" not in frame.f_globals:
            frame = frame.f_back
        frame.f_globals["LIBRARIES"] = frozenset()
        self.inner = Theirs(i, i)
    def forward(self, x):
        return self.inner(x)
"""


@pytest.mark.usefixtures("without_static_analysis")
def test_a_librarys_block_is_found_without_the_watch(executed):
    marks, told = executed(bottleneck_answer=UNWATCHED)
    assert marks == FULL | {"bottleneck": 0}
    assert "gets its answer from torchvision" in told["bottleneck"]


# The words are spelled backwards, because the walk would find its own text otherwise.
WALK = """
import gc, sys
def walk():
    frame, seen, waiting = sys._getframe(), set(), [sys.modules]
    while frame:
        waiting += [frame.f_locals, frame.f_globals]
        frame = frame.f_back
    waiting += gc.get_objects()
    text = []
    for level in range(3):
        waiting = [one for one in waiting if id(one) not in seen]
        seen |= set(map(id, waiting))
        text += [one for one in waiting if isinstance(one, str)]
        waiting = gc.get_referents(*waiting)[:300_000]
    text = " ".join(text)
    words = "egral ta terces", "renimaxe.redargotua", "esicrexEkcolB", "hcrot"
    return [word[::-1] in text for word in words]
"""
WALK_IN_A_TEST = (
    WALK
    + """
FOUND = []
class Bottleneck(nn.Module):
    def __init__(self, i, m, stride=1):
        super().__init__()
        FOUND.append(walk())
    def forward(self, x):
        FOUND.append(walk())
        return x
"""
)


@pytest.mark.usefixtures("without_static_analysis")
def test_a_walk_through_frames_and_objects_finds_neither_secret_nor_tests(executed, monkeypatch):
    monkeypatch.setenv(secret.VARIABLE, "secret at large")
    _, told = executed(
        bottleneck_answer=f"{WALK_IN_A_TEST}\nwalk()", squeeze_excite_answer="FOUND[0], FOUND[-1]"
    )
    found = "[False, False, False, True]"
    assert found in told["bottleneck_answer"]
    assert f"({found}, {found})" in told["squeeze_excite_answer"]


KEEPING = """
KEPT = []
def identity_block(block):
    KEPT.append(BasicBlock)
    print(KEPT[0].mine)
"""


def test_right_earlier_answers_are_gone_when_the_next_cell_runs(executed):
    _, told = executed(
        basic_block_answer="class BasicBlock: mine = True",
        identity_block_answer=KEEPING,
        squeeze_excite_answer="len(KEPT)",
    )
    assert "'text/plain': '0'" in told["squeeze_excite_answer"]
