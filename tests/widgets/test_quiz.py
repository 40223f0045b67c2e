import re

import pytest

from convnets.widgets import Question, Quiz

SIDES = {"55": "(227 - 11) / 4 + 1.", "57 & more": "That <forgets> the kernel."}


def test_each_answer_has_its_sentence_and_only_one_is_marked_as_right():
    page = Quiz(Question("How wide?", SIDES, right="55"))._repr_html_()
    assert page.count('type="radio"') == 2
    assert page.count("Right.") == 1
    assert re.search(r"55</label><p><strong>Right\.</strong> \(227 - 11\)", page)


def test_each_question_has_separate_radio_buttons():
    page = Quiz(Question("A?", SIDES, "55"), Question("B?", SIDES, "55"))._repr_html_()
    assert len(set(re.findall(r'name="([^"]+)"', page))) == 2
    identifiers = re.findall(r' id="([^"]+)"', page)
    assert len(identifiers) == len(set(identifiers)) == 4


def test_texts_are_escaped_and_there_is_no_script():
    page = Quiz(Question("a < b?", SIDES, "55"))._repr_html_()
    assert "57 &amp; more" in page
    assert "&lt;forgets&gt;" in page
    assert "<script" not in page


@pytest.mark.parametrize("answers", [{"54": ""}, {"55": "the only one"}])
def test_a_question_needs_two_answers_one_of_them_right(answers):
    with pytest.raises(ValueError, match="at least two answers"):
        Question("How wide?", answers, right="55")
