"""Static analysis of student code."""

import pytest

from autograder.authoring.bank import load
from autograder.checks import EXERCISES
from autograder.checks.static_analysis import StudentSource, harmless, own_functions, tampering
from autograder.checks.student import ACTIVATIONS, StudentError
from tests.autograder.conftest import ASSIGNMENT

TAMPERING = {
    "import autograder.checks.student as s\ns._refuse = print": "autograder",
    "from autograder.checks import student": "autograder",
    "import sys\nsys.modules['x'] = 1": "sys.modules",
    "from sys import modules": "sys.modules",
    "import torch\ntorch.sys.modules": "sys.modules",
    "import gc\ngc.get_objects()": "gc",
    "import sys\nsys._getframe(1)": "_getframe",
    "import sys\ngetattr(sys, '_getframe')": "_getframe",
    "import sys\nsys.settrace(None)": "settrace",
    "__import__('autogr' + 'ader')": "__import__",
    "import importlib": "importlib",
    "import builtins as b": "builtins",
    "exec('x')": "exec",
    "eval('x')": "eval",
    "run = exec\ndef exec(x): pass": "exec",
    "globals()['__builtins__']": "__builtins__",
    "try: 1 / 0\nexcept Exception as e: e.__traceback__.tb_frame.f_back": "__traceback__",
    "object.__subclasses__()": "__subclasses__",
    "f.__globals__": "__globals__",
    "import torch\ntorch._C._len_torch_dispatch_stack()": "_C",
    "from torch.utils._python_dispatch import TorchDispatchMode": "_python_dispatch",
    "import torch\n@torch.library.custom_op('a::b', mutates_args=())\ndef f(x): 1": "torch.library",
    "%matplotlib inline\nimport ctypes": "ctypes",
    "%%writefile x.py\nimport autograder.checks": "autograder",
    "%time import gc": "gc",
    "%%time\nimport gc": "gc",
    "get_ipython().run_cell_magic('time', '', 'import gc')": "gc",
    "get_ipython().run_cell_magic('time', '', text)": "run_cell_magic",
    "get_ipython().run_cell(text)": "run_cell",
    "get_ipython().input_transformers_post.append(f)": "input_transformers_post",
    "x = " + "+".join(["1"] * 20_000): "code nested this deeply",
}


@pytest.mark.parametrize("source", TAMPERING, ids=lambda source: source[-40:])
def test_code_that_tampers_with_the_process_is_named(source):
    assert tampering(source) == TAMPERING[source]


HONEST = [
    "import sys\nIN_COLAB = 'google.colab' in sys.modules",
    "import sys\nprint(sys.version, sys.path)",
    "model.eval()\ntorch.compile(model)\nre.compile('x')",
    "def eval(model):\n    return 1\neval(3)",
    "for m in self.modules(): m.library",
    "getattr(self, f'conv{i}')",
    "print('The autograder marks this.')  # autograder.checks",
    "%matplotlib inline\n!ls\n%time x = 3",
    "def f(:",
    "import torch\nfrom torch import nn, functional as F",
    "x = 'gc' + 'compile'",
    "\0",
]


@pytest.mark.parametrize("source", HONEST)
def test_honest_code_is_not_taken_for_tampering(source):
    assert tampering(source) == ""


def test_a_function_of_the_student_hides_the_builtin():
    assert tampering("eval(network)") == "eval"
    assert tampering("eval(network)", own_functions("def eval(n): pass")) == ""
    assert tampering("del eval", {"eval"}) == "eval"


def test_modules_that_tamper_with_the_process_are_left_out():
    files = {"a.py": b"import gc", "b.py": b"import math", "c.npz": b"import gc", "d.py": b"\xff"}
    assert harmless(files).keys() == {"b.py", "c.npz", "d.py"}


FUNCTIONAL = "import torch\nfrom torch import nn\nfrom torch.nn import functional as F\n"
USES = {
    "directly": "def leaky_relu(x, s): return F.leaky_relu(x, s)",
    "in place": "def leaky_relu(x, s): return F.leaky_relu_(x.clone(), s)",
    "a module": "def leaky_relu(x, s): return nn.LeakyReLU(s)(x)",
    "a method": "def leaky_relu(x, s): return x.relu() - s * (-x).relu()",
    "a full name": "def leaky_relu(x, s): return torch.nn.functional.leaky_relu(x, s)",
    "another name": "g = F.leaky_relu\ndef leaky_relu(x, s): return g(x, s)",
    "another module": "g = F\ndef leaky_relu(x, s): return g.leaky_relu(x, s)",
    "an import": "from torch.nn.functional import leaky_relu as g\n"
    "def leaky_relu(x, s): return g(x, s)",
    "an import inside": "def leaky_relu(x, s):\n    from torch.nn.functional import leaky_relu\n"
    "    return leaky_relu(x, s)",
    "getattr": "def leaky_relu(x, s): return getattr(F, 'leaky_relu')(x, s)",
    "another function": "def g(x): return F.relu(x)\ndef leaky_relu(x, s): return g(x) - s * g(-x)",
    "a class": "class G(nn.Module):\n    def forward(self, x): return F.relu(x)\n"
    "def leaky_relu(x, s): return G()(x)",
    "a lambda": "leaky_relu = lambda x, s: F.leaky_relu(x, s)",
    "a condition": "if True:\n    leaky_relu = F.leaky_relu",
    "all names": "from torch.nn.functional import *\ndef leaky_relu(x, s): return relu(x)",
    "a name that is local elsewhere": "g = F.relu\ndef leaky_relu(x, s):\n"
    "    def other(): g = 1\n    return g(x) - s * g(-x)",
}


@pytest.mark.parametrize("source", USES.values(), ids=USES.keys())
def test_a_forbidden_operator_is_found_under_any_name(source):
    with pytest.raises(StudentError, match=r"leaky_relu\(x\) calls PyTorch's ready-made"):
        StudentSource([FUNCTIONAL, source]).check("leaky_relu", "leaky_relu(x)", ACTIVATIONS)


FREE = {
    "a test of the answer": [
        "def leaky_relu(x, s): return torch.where(x > 0, x, s * x)\n"
        "assert torch.equal(leaky_relu(x, .1), F.leaky_relu(x, .1))",
        "y = F.leaky_relu(x)",
    ],
    "a variable with the name of one in a scratch cell": [
        "y = F.relu(torch.ones(2))",
        "def leaky_relu(x, s):\n    y = s * x\n    return torch.where(x > 0, x, y)",
    ],
    "an earlier attempt": [
        "def leaky_relu(x, s): return F.leaky_relu(x, s)",
        "def leaky_relu(x, s): return torch.maximum(x, s * x)",
    ],
    "a docstring": ["def leaky_relu(x, s):\n    'As F.leaky_relu.'\n    return x.clamp(min=0)"],
    "no such answer": ["x = 3"],
    "data from another library": [
        "def data():\n    import torchvision\nimages = data()\n"
        "network = nn.Linear(3, 3)\nnetwork = fit(network, images)",
        "def leaky_relu(x, s): return network(x)",
    ],
}


@pytest.mark.parametrize("sources", FREE.values(), ids=FREE.keys())
def test_code_that_an_answer_does_not_use_is_not_checked(sources):
    forbidden = ACTIVATIONS if "torchvision" not in sources[0] else frozenset()
    StudentSource([FUNCTIONAL, *sources]).check("leaky_relu", "leaky_relu(x)", forbidden)


@pytest.mark.parametrize("package", ["torchvision", "timm", "convnets", "autograder"])
def test_a_block_from_another_library_is_found(package):
    source = f"import {package}.models as m\nclass Block(m.Block): pass"
    with pytest.raises(StudentError, match=f"Block gets its answer from {package}"):
        StudentSource([source]).check("Block", "Block")


def test_an_answer_may_not_start_threads():
    source = "from threading import Thread\ndef f(x): Thread(target=g).start()"
    with pytest.raises(StudentError, match=r"f uses threading"):
        StudentSource([source]).check("f", "f")


def test_earlier_answers_that_are_replaced_are_not_checked():
    written = StudentSource(
        [FUNCTIONAL, "def elu(x): return F.elu(x)\ndef selu(x): return 1.05 * elu(x)"]
    )
    with pytest.raises(StudentError, match="ready-made elu"):
        written.check("selu", "selu", ACTIVATIONS)
    written.replaced = frozenset({"elu"})
    written.check("selu", "selu", ACTIVATIONS)


def test_correct_answers_of_the_bank_are_neither_tampering_nor_borrowed(original):
    for entry in load(original, ASSIGNMENT):
        cells = list(entry.notebook.values())
        assert not any(map(tampering, cells)), entry.name
        if entry.says is None:
            asked = EXERCISES[entry.exercise]
            for name in asked.answers:
                StudentSource(cells).check(name, name, getattr(asked, "forbidden", frozenset()))
