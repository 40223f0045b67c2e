import dataclasses

import pytest
import torch
from typer.testing import CliRunner

from convnets.__main__ import app
from convnets.lecture import CLAIMS, ledger

# Slide and claim of every row that differs.
MISTAKES = [
    (7, "4"),
    (7, "55"),
    (7, "55x55x96"),
    (7, "35K"),
    (8, "yes"),
    (10, "yes"),
    (20, "CONV1-1, CONV1-2, CONV2-1, CONV2-2, CONV3-1, CONV3-2, CONV4-1, CONV4-2, CONV4-3, "
         "CONV5-1, CONV5-2, CONV5-3"),
    (20, "POOL1, POOL2, POOL2, POOL3, POOL4"),
    (20, "24M"),
    (20, "96MB"),
    (28, "108k"),
    (31, "33k"),
    (31, "108k"),
    (35, "12x"),
    (35, "27x"),
    (45, "1e-5"),
    (46, "yes"),
    (57, "34"),
    (58, "50"),
    (58, "yes"),
    (67, "https://arxiv.org/pdf/1409.1556.pdf%2520http:/arxiv.org/abs/1409.1556.pdf"),
]  # fmt: skip


def computed(slide: int, statement: str) -> str:
    found = [row for row in ledger() if row.slide == slide and statement in row.statement]
    assert len(found) == 1
    return found[0].computed


def changed(claimed):
    if isinstance(claimed, tuple):
        return (*claimed[:-1], changed(claimed[-1]))
    return not claimed if isinstance(claimed, bool) else f"7{claimed}"


def test_every_claim_has_a_row_in_the_order_of_the_slides():
    rows = ledger()
    assert len(rows) == len(CLAIMS) > 150
    assert [row.slide for row in rows] == sorted(row.slide for row in rows)


def test_exactly_the_known_mistakes_of_the_lecture_differ():
    assert [(row.slide, row.claimed) for row in ledger() if row.verdict == "differs"] == MISTAKES


def test_a_row_that_differs_has_a_note():
    assert [row for row in ledger() if row.verdict == "differs" and len(row.note) < 20] == []


def test_no_claim_appears_twice():
    keys = [(row.slide, row.statement, row.claimed) for row in ledger()]
    repeated = {key for key in keys if keys.count(key) > 1}
    assert repeated == set()


@pytest.mark.parametrize(
    ("slide", "statement", "value"),
    [
        (5, "Parameters of CONV1", "34,848"),
        (7, "Parameters of CONV2", "307,200"),
        (20, "Total memory: values", "15,237,608"),
        (20, "Total parameters", "138,357,544"),
        (28, "Total parameters", "1,089,536"),
        (31, "with reductions", "346,112"),
        (35, "12x", "8.711"),
        (35, "27x", "19.77"),
        (45, "Weight decay", "0.0001"),
        (57, "DenseNet: L layers", "21, 78, 300, 136"),
    ],
)
def test_known_values_are_computed(slide, statement, value):
    assert computed(slide, statement) == value


def test_a_changed_claim_changes_its_verdict():
    for claim, row in zip(CLAIMS, ledger(), strict=True):
        if row.verdict != "differs":
            mutant = dataclasses.replace(claim, claimed=changed(claim.claimed))
            assert mutant.check().verdict == "differs", row


def test_a_corrected_claim_is_exact():
    for claim, row in zip(CLAIMS, ledger(), strict=True):
        if row.verdict == "differs" and isinstance(claim.compute(), bool | str):
            right = dataclasses.replace(claim, claimed=claim.compute())
            assert right.check().verdict == "exact", row


def test_the_ledger_is_reproducible_and_keeps_the_callers_random_state():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    again = [claim.check() for claim in CLAIMS if claim.slide in (10, 39, 40, 49)]
    assert torch.equal(torch.rand(3), expected)
    assert again == [row for row in ledger() if row.slide in (10, 39, 40, 49)]


def test_the_command_prints_the_rows_of_one_slide():
    result = CliRunner().invoke(app, ["ledger", "--slide", "7"])
    assert result.exit_code == 0
    assert "307,200" in result.stdout
    assert "differs" in result.stdout
    assert "138,357,544" not in result.stdout


def test_the_command_refuses_a_slide_that_does_not_exist():
    result = CliRunner().invoke(app, ["ledger", "--slide", "70"])
    assert result.exit_code == 2
    assert "69" in result.output
