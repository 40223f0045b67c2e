"""Tests of the hidden tests: every wrong answer of the bank loses marks and is told why."""

from pathlib import Path

import pytest

from autograder.authoring.bank import SOURCE, Judged, judge, load
from autograder.authoring.selftest import gaps
from autograder.checks import EXERCISES
from autograder.checks.verdict import Verdict
from autograder.course.folder import Course
from autograder.errors import CourseError

COURSE = Course.at(Path(__file__).parents[3] / "assignments")
BANK = load(COURSE, "assignment2")
ENTRIES = [
    pytest.param(
        entry,
        id=f"{entry.exercise}: {entry.name}",
        marks=[] if entry.name == SOURCE else pytest.mark.slow,
    )
    for entry in BANK
]


@pytest.mark.parametrize("entry", ENTRIES)
def test_hidden_tests_give_an_answer_of_the_bank_the_right_verdict(entry):
    assert judge(entry, seed=1).problem is None


def test_the_bank_covers_every_exercise():
    assert {entry.exercise for entry in BANK} == set(EXERCISES)


def test_the_bank_is_large_enough():
    assert gaps([Judged(entry, Verdict(())) for entry in BANK]) == []


def broken_bank(tmp_path, text):
    for exercise in EXERCISES:
        (tmp_path / f"{exercise}.toml").write_text("")
    (tmp_path / "basic_block.toml").write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[[mutant]", "basic_block.toml cannot be read"),
        ('[[mutant]]\nname = "a"\nsource = "b"', "a mutant needs the key says"),
        ('[[variant]]\nname = "a"\nsource = "b"\nsays = "c"', "a variant must not have it"),
        ('[[variant]]\nname = "a"\nsurce = "b"', "unknown key surce"),
        ('[[variant]]\nname = "a"', "changes nothing"),
        ('[[variant]]\nname = "a"\nreplace = [{old = "§", new = ""}]', "does not contain '§'"),
        ("[[sibling]]", "sibling is neither a mutant nor"),
        ('[stand_in]\nnowhere = "x = 1"', "replaces nowhere, which the notebook does not have"),
    ],
)
def test_an_invalid_bank_is_refused_with_its_position(text, sentence, tmp_path):
    with pytest.raises(CourseError, match=sentence):
        load(COURSE, "assignment2", broken_bank(tmp_path, text))


def test_an_exercise_without_a_bank_is_named(tmp_path):
    with pytest.raises(CourseError, match="has no bank"):
        load(COURSE, "assignment2", tmp_path)


def test_an_answer_that_cannot_be_run_is_named(tmp_path):
    text = '[[variant]]\nname = "a"\nsource = "fit(network)"'
    entries = load(COURSE, "assignment2", broken_bank(tmp_path, text))
    entry = next(one for one in entries if (one.exercise, one.name) == ("basic_block", "a"))
    with pytest.raises(CourseError, match="needs a stand_in"):
        judge(entry)


def test_a_bank_that_is_too_small_is_named(tmp_path):
    entries = load(COURSE, "assignment2", broken_bank(tmp_path, ""))
    judged = [judge(one) for one in entries if one.exercise == "basic_block"]
    assert gaps(judged) == [
        "basic_block: mutants/basic_block.toml has 0 mutants and 0 variants; "
        "write at least 6 and 3."
    ]
