"""A student process that is simulated in this process and can lie to the examiner."""

from types import SimpleNamespace

from autograder.sandbox.inside.answers import Responder
from autograder.sandbox.limits import Limits
from autograder.sandbox.protocol import LENGTHS, decode, encode
from autograder.sandbox.student_process import StudentProcess


def _crossed(message, refer=None):
    frame = encode(message, refer) if refer else encode(message)
    header, _ = LENGTHS.unpack(frame[: LENGTHS.size])
    return decode(frame[LENGTHS.size :][:header], frame[LENGTHS.size + header :])


class Liar(StudentProcess):
    """A student process that answers here, and changes its replies.

    Args:
        space: what the cells defined, by name.
        change: a function of the question and the honest reply that returns the reply to send.
    """

    def __init__(self, space, change=lambda question, reply: reply):
        self.limits, self.ended, self.failures, self.knows_answers = Limits(), None, [], False
        self._responder = Responder(SimpleNamespace(user_ns=space), 1000)
        self._change = change

    def close(self):
        return 0

    def _ask(self, action, **question):
        if self.ended is not None:
            raise self.ended
        question = _crossed({"do": action, **question})
        reply = _crossed(self._responder.answer(question), self._responder.refer)
        return self._change(question, reply), 0.0
