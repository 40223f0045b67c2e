import pytest

from autograder.checks import residual
from tests.autograder.checks import blocks

SEED = 7
RIGHT = [
    blocks.Basic,
    blocks.WithBiases,
    blocks.RegisteredBackwards,
    blocks.InPlace,
    blocks.OneSequential,
    blocks.Chatty,
]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("block", RIGHT)
def test_a_right_basic_block_gets_all_marks(block, seed):
    for exercise in (residual.identity_shortcut, residual.projection_shortcut):
        verdict = exercise(block, seed)
        assert verdict.sentences == ()
        assert verdict.marks == verdict.out_of == 8


@pytest.mark.parametrize("block", [blocks.Narrow, blocks.StrideFirst])
def test_a_right_bottleneck_gets_all_marks_wherever_its_stride_stands(block):
    verdict = residual.bottleneck(block, SEED)
    assert verdict.sentences == ()
    assert verdict.marks == verdict.out_of == 10


@pytest.mark.parametrize(
    ("block", "identity", "projection", "sentence"),
    [
        (blocks.ReluBeforeAddition, 5, 5, "ReLU comes before the addition"),
        (blocks.NoLastRelu, 5, 5, "No ReLU follows the addition"),
        (blocks.NoShortcut, 3, 1, "Nothing is added"),
        (blocks.ProjectsAlways, 3, 8, "although input and output have the same shape"),
        (blocks.ShortcutWithoutNorm, 8, 5, "has no batch norm"),
        (blocks.StrideOnBoth, 8, 4, "shrinks the image more than once"),
        (blocks.StrideMissingOnShortcut, 8, 4, "ignores the stride"),
        (blocks.IdentityOnly, 8, 0, "call for a projection"),
        (blocks.ProjectsForChannelsOnly, 8, 5.5, "call for a projection"),
        (blocks.NoNormAtAll, 1, 1, "0 instead of 2 of batch norm"),
        (blocks.SharedNorm, 3, 3, "does not compute the block"),
        (blocks.PlainList, 1, 1, "registers no layer"),
        (blocks.UnusedLayer, 6, 6, "1 instead of 0 of layer with weight (3, 3)"),
        (blocks.ChangesItsInput, 4, 4, "changes its input tensor"),
        (blocks.StopsTheGradient, 7, 7, "wrong gradients"),
        (blocks.AlwaysInEvalMode, 6, 6, "not in train mode"),
        (blocks.StridesAfterTheShortcutsNorm, 8, 6.5, "not in train mode"),
        (blocks.OnlyEvenSizes, 3, 6.5, "instead of"),
        (blocks.ReturnsATuple, 2, 2, "returns a tuple, not a tensor"),
        (blocks.RaisesInForward, 2, 2, "raised KeyError"),
        (blocks.RaisesInInit, 0, 0, "raised ValueError: channels?"),
        (blocks.NotWritten, 0, 0, "is not written yet"),
        (blocks.Quits, 2, 2, "raised SystemExit"),
        (blocks.NoModule, 0, 0, "is a NoModule, not a torch.nn.Module"),
        (len, 0, 0, "raised TypeError"),
        (None, 0, 0, "raised TypeError"),
    ],
)
def test_a_wrong_basic_block_loses_marks_and_is_told_why(block, identity, projection, sentence):
    verdicts = residual.identity_shortcut(block, SEED), residual.projection_shortcut(block, SEED)
    assert tuple(verdict.marks for verdict in verdicts) == (identity, projection)
    assert any(sentence in said for verdict in verdicts for said in verdict.sentences)


@pytest.mark.parametrize(
    ("block", "marks", "sentence"),
    [
        (blocks.NarrowReluBeforeAddition, 6, "ReLU comes before the addition"),
        (blocks.NarrowWithoutExpansion, 0, "instead of (2, 16, 8, 8)"),
        (blocks.Basic, 0, "instead of (2, 16, 8, 8)"),
    ],
)
def test_a_wrong_bottleneck_loses_marks_and_is_told_why(block, marks, sentence):
    verdict = residual.bottleneck(block, SEED)
    assert verdict.marks == marks
    assert any(sentence in said for said in verdict.sentences)


def test_a_common_mistake_is_told_in_one_sentence_only():
    for block in (blocks.ReluBeforeAddition, blocks.NoLastRelu, blocks.ShortcutWithoutNorm):
        assert len(residual.projection_shortcut(block, SEED).sentences) == 1


def test_the_report_prints_each_part_and_returns_the_marks(capsys):
    assert residual.identity_shortcut(blocks.NoLastRelu, SEED).report() == 5
    printed = capsys.readouterr()
    assert "values      0 of 3" in printed.out
    assert "- No ReLU follows the addition" in printed.out
    assert printed.err == ""


def test_what_a_student_prints_and_warns_of_stays_out_of_the_report(capsys):
    residual.identity_shortcut(blocks.Chatty, SEED).report()
    printed = capsys.readouterr()
    assert "careful" not in printed.out + printed.err
    assert "shape torch" not in printed.out
