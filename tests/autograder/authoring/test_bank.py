"""The hidden tests, tested: every wrong answer of the bank loses marks and is told why."""

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
def test_the_hidden_tests_judge_an_answer_rightly(entry):
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
        ('[[mutant]]\nname = "a"\nsource = "b"', "a mutant says what it is told"),
        ('[[variant]]\nname = "a"\nsource = "b"\nsays = "c"', "a variant does not"),
        ('[[variant]]\nname = "a"\nsurce = "b"', "surce is not known"),
        ('[[variant]]\nname = "a"', "changes nothing"),
        ('[[variant]]\nname = "a"\nreplace = [{old = "§", new = ""}]', "has no '§'"),
        ("[[sibling]]", "sibling is neither"),
        ('[stand_in]\nnowhere = "x = 1"', "there is no nowhere to stand in for"),
    ],
)
def test_a_bank_that_cannot_be_used_says_where(text, sentence, tmp_path):
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
        "basic_block: write 6 mutants and 3 variants or more into mutants/basic_block.toml; "
        "it has 0 and 0."
    ]
