"""An honest answer of a submission arrives unchanged; a forged one does no harm."""

import json
import time

import pytest
import torch
from torch import nn

from autograder.checks.static_analysis import StudentSource
from autograder.checks.student import Block, StudentError
from autograder.errors import CourseError
from autograder.sandbox.box import SandboxError
from autograder.sandbox.protocol import Handle
from autograder.sandbox.remote import RemoteAnswer, RemoteBlock, RemoteFunction
from autograder.sandbox.results import StudentEnded
from autograder.sandbox.session import Sandbox

BLOCK = """
import torch
from torch import nn

class Twice(nn.Module):
    def __init__(self, channels, *, bias=False):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=bias)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x):
        print("noise")
        return x + self.norm(self.conv(x))
"""


def defined():
    names = {}
    exec(BLOCK, names)
    return names["Twice"]


# A cell that answers in the place of the fork server's code: `send` writes to the channel.
FORGE = """
import os, json, struct
def send(header, buffers=b""):
    header = json.dumps(header).encode() if not isinstance(header, bytes) else header
    os.write(3, struct.pack("!IQ", len(header), len(buffers)) + header + buffers)
"""

# A function that, when the examiner calls it, patches the code that answers.
PATCH = """
import sys
def patch(**methods):
    frame = sys._getframe()
    while "LIBRARIES" not in frame.f_globals:
        frame = frame.f_back
    for name, method in methods.items():
        setattr(frame.f_globals["Block"], name, method)
"""


def test_outputs_are_those_of_a_notebook(run):
    result = run(
        "import sys\nfrom IPython.display import display, HTML\nprint('a'); print('b')\n"
        "print('c', file=sys.stderr)\ndisplay(HTML('<b>x</b>'))\n1 + 1"
    )
    kinds = [output["output_type"] for output in result.outputs]
    assert kinds == ["stream", "stream", "display_data", "execute_result"]
    assert result.outputs[0]["text"] == "a\nb\n"
    assert result.outputs[2]["data"]["text/html"] == "<b>x</b>"
    assert result.outputs[3]["data"] == {"text/plain": "2"}


def test_an_error_has_its_traceback(run):
    result = run("def f():\n    return 1 / 0\nf()")
    assert result.state == "failed"
    assert result.outputs[-1]["ename"] == "ZeroDivisionError"
    assert "return 1 / 0" in result.outputs[-1]["traceback"][0]


def test_a_cell_with_a_syntax_error_fails(run):
    assert run("def f(:").outputs[-1]["ename"] == "SyntaxError"


def test_magics_and_shell_commands_run(run):
    result = run("%matplotlib inline\n!echo hello; false\n%time x = 3")
    assert result.state == "ok"
    assert result.outputs[0]["text"].startswith("hello\n")
    assert run("!no-such-program").state == "ok"


def test_a_figure_is_shown(run):
    result = run("import matplotlib.pyplot as plt\nplt.plot([1, 2]);")
    [figure] = [output for output in result.outputs if output["output_type"] == "display_data"]
    assert figure["data"]["image/png"].startswith("iVBOR")


def test_cells_share_a_namespace_and_submissions_do_not(sandbox, student):
    student.run_cell("mine = 3")
    assert student.has("mine")
    assert not student.has("yours")
    with sandbox.start() as other:
        assert not other.has("mine")


def test_a_call_sends_and_returns_data(student):
    student.run_cell("def f(x, *, scale): return {'y': [x * scale, (1, None)], 'n': 'ä'}")
    x = torch.arange(3.0)
    answer = student.call("f", x, scale=2)
    assert torch.equal(answer["y"][0], 2 * x)
    assert answer["y"][1:] == [(1, None)]


def test_numbers_of_numpy_and_shapes_are_data(student):
    student.run_cell(
        "import numpy as np, torch\n"
        "def f(): return [np.float32(2), np.int64(3), torch.ones(2, 3).shape]"
    )
    assert student.call("f") == [2.0, 3, (2, 3)]


def test_other_objects_stay_in_the_process_and_have_handles(student):
    student.run_cell("def make(): return object()\ndef kind(x): return type(x).__name__")
    handle = student.call("make")
    assert handle == Handle(0, "object")
    assert student.call("kind", handle) == "object"


def test_failures_are_sentences(student):
    student.run_cell("def todo(): raise NotImplementedError\ndef bad(): raise KeyError('k')")
    for name, sentence in [
        ("todo", "not written yet"),
        ("bad", "raised KeyError"),
        ("gone", "not defined"),
    ]:
        with pytest.raises(StudentError, match=sentence):
            student.call(name)


def test_a_remote_block_does_what_a_local_one_does(student):
    student.run_cell(BLOCK)
    remote, local = RemoteBlock(student, "Twice", 4, bias=True), Block(defined(), 4, bias=True)
    x = torch.randn(2, 4, 5, 5, dtype=torch.float64)
    assert remote.label == local.label
    assert remote.layers() == local.layers()
    assert remote.convolutions() == local.convolutions()
    remote.load(local.state())
    assert torch.equal(remote.forward(x), local.forward(x))
    assert torch.equal(remote.forward(x, training=True), local.forward(x, training=True))
    assert torch.equal(remote.forward_in_float32(x), local.forward_in_float32(x))
    assert remote.multiplications(x) == local.multiplications(x)
    for theirs, ours in [
        (remote.gradients(x, local.state()), local.gradients(x, local.state())),
        (remote.state(), local.state()),
    ]:  # fmt: skip
        assert theirs.keys() == ours.keys()
        assert all(torch.equal(theirs[name], ours[name]) for name in ours)
    assert remote.changed_its_input is False


def test_a_function_of_the_student_can_change_their_block(student):
    student.run_cell(BLOCK + "\ndef zero(module):\n    nn.init.zeros_(module.norm.weight)")
    block = RemoteBlock(student, "Twice", 4)
    block.change(RemoteAnswer(student, "zero", StudentSource()), "zero")
    assert not block.state()["norm.weight"].any()


def test_a_remote_function_raises_what_a_local_one_does(student):
    student.run_cell(
        "import torch\ndef f(x):\n    if x < 0: raise ValueError('below zero')\n"
        "    return torch.relu(torch.tensor(float(x)))"
    )
    with pytest.raises(ValueError, match="below zero"):
        RemoteFunction(student, "f").call(-1)
    with pytest.raises(StudentError, match="ready-made relu"):
        RemoteFunction(student, "f", frozenset({"relu"})).call(1)


@pytest.mark.parametrize("value", ["3", "None", "'x'", "[x]", "torch.nn.Linear(1, 1)"])
def test_a_block_that_does_not_return_a_tensor_is_named(student, value):
    student.run_cell(
        f"import torch\nclass B(torch.nn.Module):\n    def forward(self, x): return {value}"
    )
    with pytest.raises(StudentError, match=r"returns a .*, not a tensor"):
        RemoteBlock(student, "B").forward(torch.ones(1))


@pytest.mark.parametrize(
    "source",
    [
        "class T(torch.Tensor):\n    def __eq__(self, o): return True\n"
        "def f(): return torch.ones(2).as_subclass(T)",
        "def f(): return torch.nn.Parameter(torch.ones(2))",
        "class F(float):\n    def __eq__(self, o): return True\ndef f(): return F(1.0)",
        "class S(str):\n    def __eq__(self, o): return True\ndef f(): return S('x')",
        "class D(dict):\n    def __getitem__(self, k): return 1\ndef f(): return D(a=2)",
        "class L(list):\n    def __len__(self): return 99\ndef f(): return L([1])",
        "class A:\n    def __getattr__(self, n): raise SystemExit\ndef f(): return A()",
        "import numpy as np\nclass A(np.ndarray): pass\ndef f(): return np.ones(2).view(A)",
    ],
)
def test_objects_that_lie_arrive_as_plain_data_or_handles(student, source):
    student.run_cell("import torch\n" + source)
    answer = student.call("f")
    assert type(answer) in (torch.Tensor, float, str, dict, list, Handle)


@pytest.mark.parametrize(
    "source",
    [
        "class A:\n    @property\n    def __class__(self): return torch.Tensor\n"
        "def f(): return A()",
        "class A(int):\n    def __int__(self): raise KeyboardInterrupt\ndef f(): return A(3)",
        "class A(Exception):\n    def __str__(self): raise SystemExit\ndef f(): raise A",
        "def f():\n    class E(BaseException): pass\n    raise E",
        "def f():\n    loop = []; loop.append(loop); return loop",
        "def f(): return 10 ** 10000",
    ],
)
def test_objects_that_raise_when_inspected_fail_only_this_answer(sandbox, student, source):
    student.run_cell("import torch\n" + source)
    with pytest.raises((StudentError, StudentEnded)):
        student.call("f")
    with sandbox.start() as other:
        assert other.run_cell("1").state == "ok"


ATTACKS = {
    "unasked": "send({'dict': {'value': True, 'number': 1}})",
    "garbage": "os.write(3, os.urandom(4000))",
    "not a message": "send(b'nonsense')",
    "pickle": "send({'dict': {'value': {'pickle': 'x'}}})",
    "huge": "os.write(3, struct.pack('!IQ', 9, 2 ** 40))",
    "deep": "send(b'[' * 10 ** 5)",
    "more bytes than said": "send({'dict': {'value': {'bytes': 9}}}, b'x')",
}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("when", ["now", "at the question"])
def test_replies_that_break_the_protocol_end_the_process(student, attack, when):
    if when == "now":
        result = student.run_cell(FORGE + ATTACKS[attack])
        assert result.state == "protocol error"
        assert "not an answer" in result.sentence
        assert not result.alive
    else:
        student.run_cell(FORGE + f"def f():\n    {ATTACKS[attack]}")
        with pytest.raises(StudentEnded) as raised:
            student.call("f")
        assert raised.value.state == "protocol error"


def test_a_reply_sent_after_the_cell_is_not_taken_for_the_next(student):
    student.run_cell(
        FORGE + "import threading\n"
        "threading.Timer(0.1, send, [{'dict': {'value': True, 'number': 1}}]).start()"
    )
    time.sleep(0.2)
    with pytest.raises(StudentEnded):
        student.has("nothing")


def test_a_reply_that_never_ends_is_out_of_time(student):
    result = student.run_cell(
        FORGE + "import time\nos.write(3, struct.pack('!IQ', 10 ** 6, 0))\n"
        "while True: os.write(3, b' '); time.sleep(0.01)"
    )
    assert result.state == "out of time"


def test_a_reply_larger_than_the_limit_is_a_protocol_error(student):
    student.run_cell("import torch\ndef f(): return torch.ones(2**20)")
    with pytest.raises(StudentEnded, match="longer than 2 MiB"):
        student.call("f")


@pytest.mark.parametrize(
    "reply",
    [
        {"outputs": 3, "failure": "", "cut": False},
        {"outputs": {"list": [3]}, "failure": "", "cut": False},
        {"outputs": {"list": []}, "failure": 0, "cut": False},
        {"outputs": {"list": []}, "failure": "", "cut": "no"},
        {"outputs": {"list": []}},
        {"outputs": {"list": [{"dict": {"output_type": "stream", "name": "x", "text": "y"}}]},
         "failure": "", "cut": False},
    ],
)  # fmt: skip
def test_a_forged_reply_of_the_wrong_types_is_a_protocol_error(student, reply):
    # The question has been decoded, so that its number lies in the memory of the process.
    forged = FORGE + (
        "import gc\n"
        "[number] = {d['number'] for d in gc.get_objects() if type(d) is dict "
        "and d.get('do') == 'run_cell' and 'number' in d} or [0]\n"
        f"send({{'dict': {{**{reply!r}, 'number': number}}}}); os.abort()"
    )
    result = student.run_cell(forged)
    assert result.state == "protocol error"


def test_a_forged_answer_of_the_wrong_type_ends_the_process(student):
    student.run_cell(BLOCK)
    student.run_cell(PATCH + "Twice.forward = lambda self, x: patch(layers=lambda self: 7)")
    block = RemoteBlock(student, "Twice", 4)
    with pytest.raises(StudentError, match="returns a NoneType"):
        block.forward(torch.ones(1, 4, 3, 3, dtype=torch.float64))
    with pytest.raises(StudentEnded, match="not an answer"):
        block.layers()


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x"])
def test_files_outside_the_folder_are_refused(sandbox, name):
    with pytest.raises(CourseError, match="outside the submission"):
        sandbox.start({name: b""})


def test_an_answer_from_the_library_is_refused(student):
    student.run_cell("open('timm.py', 'w').write('def relu(x): return x')")
    student.run_cell("import timm\ndef f(x): return timm.relu(x)")
    with pytest.raises(StudentError, match="gets its answer from timm"):
        student.call("f", torch.ones(1, 4))


def test_torch_computes_the_same_as_outside(student):
    student.run_cell(
        "import torch; from torch import nn\n"
        "def f(x): torch.manual_seed(0); return nn.Linear(3, 2)(x)"
    )
    torch.manual_seed(0)
    assert torch.equal(student.call("f", torch.ones(3)), nn.Linear(3, 2)(torch.ones(3)).detach())


def test_lone_surrogates_in_outputs_are_replaced(run):
    result = run("print('\\ud800')\nraise ValueError('\\udfff')")
    assert json.dumps(result.outputs, ensure_ascii=False).encode()


@pytest.mark.slow
def test_closing_a_sandbox_ends_its_student_processes(isolation):
    with Sandbox(preload=()) as other:
        student = other.start()
    student.close()
    with pytest.raises(SandboxError, match="is closed"):
        other.start()
