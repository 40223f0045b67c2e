"""Quizzes for readers: choose an answer and read a sentence about it.

A quiz is plain HTML without a script, so that it works both in a notebook and on a static page. The
page contains the answers, so never use a quiz for marks.
"""

import html
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

STYLE = """<style>
.quiz { border: 1px solid; border-radius: 0.5rem; margin: 1rem 0; padding: 0.75rem 1rem; }
.quiz legend { float: none; font-size: 1rem; font-weight: 600; margin: 0; padding: 0 0.25rem; }
.quiz legend { width: auto; }
.quiz input { margin: 0 0.5rem 0 0; }
.quiz p { display: none; margin: 0.25rem 0 0.5rem 1.5rem; }
.quiz input:checked ~ p { display: block; }
</style>"""


@dataclass(frozen=True)
class Question:
    """A question with a choice of answers.

    Args:
        text: the question.
        answers: maps each answer to the sentence that a reader who chooses it gets.
        right: the correct answer.

    Raises:
        ValueError: there are fewer than two answers, or `right` is not among them.
    """

    text: str
    answers: Mapping[str, str]
    right: str

    def __post_init__(self) -> None:
        if self.right not in self.answers or len(self.answers) < 2:
            raise ValueError(
                f"{self.text!r} needs at least two answers, and {self.right!r} must be one of them"
            )


class Quiz:
    """Questions that a notebook or a page shows one below the other.

    Example:
        >>> from convnets.widgets.quiz import Question
        >>> answers = {"1x1": "It has one weight for each channel.", "3x3": "It has nine."}
        >>> quiz = Quiz(Question("Which kernel is larger?", answers, right="3x3"))
    """

    def __init__(self, *questions: Question) -> None:
        self.questions = questions

    def _repr_html_(self) -> str:
        return STYLE + "\n".join(map(_fieldset, self.questions))


def _fieldset(question: Question) -> str:
    name = f"quiz-{uuid.uuid5(uuid.NAMESPACE_URL, question.text).hex[:12]}"
    options = []
    for number, (answer, sentence) in enumerate(question.answers.items()):
        verdict = "Right." if answer == question.right else "Not quite."
        options.append(
            f'<div aria-live="polite"><input type="radio" name="{name}" id="{name}-{number}">'
            f'<label for="{name}-{number}">{html.escape(answer)}</label>'
            f"<p><strong>{verdict}</strong> {html.escape(sentence)}</p></div>"
        )
    legend = f"<legend>{html.escape(question.text)}</legend>"
    return f'<fieldset class="quiz">{legend}{"".join(options)}</fieldset>'
