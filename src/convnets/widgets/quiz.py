"""Questions to check oneself with: choose an answer, read a sentence about it.

Plain HTML without a script, so that a quiz works in a notebook and on a static page alike. The
answers stand in the page: a quiz is for the reader, never for marks.
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
    """One question.

    Args:
        text: what is asked.
        answers: each possible answer and the sentence that whoever chooses it reads.
        right: the right one of them.

    Raises:
        ValueError: `right` is not among the answers, or there is only one.
    """

    text: str
    answers: Mapping[str, str]
    right: str

    def __post_init__(self) -> None:
        if self.right not in self.answers or len(self.answers) < 2:
            raise ValueError(
                f"{self.text!r} needs two answers or more, and {self.right!r} among them"
            )


class Quiz:
    """Questions, shown one below the other."""

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
