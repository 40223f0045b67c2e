from pathlib import Path

import pytest

from convnets.lecture.papers import WINNERS as TEAMS
from convnets.plots import HUMAN_ERROR, WINNERS, figure, ilsvrc_winners

BIBLIOGRAPHY = Path(__file__).parents[2] / "references.bib"


@pytest.fixture
def ax():
    return ilsvrc_winners(figure(width=8).axes[0])


def test_each_entry_and_the_person_have_a_bar(ax):
    heights = [bar.get_height() for bar in ax.patches]
    assert heights == [*(entry.top5_error for entry in WINNERS), HUMAN_ERROR]


def test_the_winners_are_those_of_the_ledger():
    first = [entry for entry in WINNERS if entry.note != "second"]
    assert [entry.year for entry in first] == [team.year for team in TEAMS]
    networks = {team.year: team.network for team in TEAMS}
    for entry in first:
        assert networks[entry.year] in (None, "ensemble", entry.name)


def test_the_error_falls_from_each_entry_to_the_next():
    errors = [entry.top5_error for entry in WINNERS]
    assert errors == sorted(errors, reverse=True)


def test_every_source_is_in_the_bibliography():
    keys = BIBLIOGRAPHY.read_text(encoding="utf-8")
    for entry in WINNERS:
        assert f"{{{entry.source.split(',')[0]}," in keys


def test_depths_are_written_above_the_bars(ax):
    texts = [text.get_text() for text in ax.texts]
    assert "3.57\n152 layers" in texts
    assert "28.2\nshallow" in texts


def test_the_text_alternative_has_every_error(ax):
    alternative = ax.figure.alternative
    for entry in WINNERS:
        assert f"{entry.year} {entry.name}: {entry.top5_error:g}" in alternative
