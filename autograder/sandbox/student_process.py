"""A student process, from the trusted side.

However a cell or the process ends, it is an `Ending` with a sentence for the student. An answer of
the process proves nothing: it is decoded and its type is checked, and it is never executed.
"""

import os
import secrets
import select
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from autograder.checks.student import StudentError
from autograder.checks.verdict import one_line
from autograder.errors import CourseError
from autograder.sandbox.box import SandboxError
from autograder.sandbox.limits import Limits, Spent
from autograder.sandbox.outputs import Output, checked, errors_alone, length
from autograder.sandbox.protocol import MIB, Message, ProtocolError, encode, receive
from autograder.sandbox.results import CellResult, Ending, StudentEnded, sentence_for
from autograder.sandbox.watch import GRACE, Watch

SETUP_SECONDS = 30.0
# The most characters of a sentence that a student process may send.
SENTENCE = 2000


class StudentProcess:
    """A student process, which `Sandbox.start` makes.

    Args:
        channel: the socket to the process.
        pidfd: the descriptor of the process.
        end: a function that kills the process and all that it started, and returns its wait status.
        limits: what the process may use.
        files: the files in its folder, by path relative to the folder.
        spent: what earlier processes of the notebook have used; it is kept up to date.

    Raises:
        SandboxError: the process could not be isolated.
        CourseError: the files do not fit into its folder.
    """

    def __init__(
        self,
        channel: socket.socket,
        pidfd: int,
        end: Callable[[], int],
        limits: Limits,
        files: dict[str, bytes],
        spent: Spent,
    ) -> None:
        self.limits = limits
        self.spent = spent
        #: Why the process has ended; `None` as long as it runs.
        self.ended: StudentEnded | None = None
        #: How each failed question ended, with the sentence for the student.
        self.failures: list[tuple[Ending, str]] = []
        #: Whether the process was sent right answers, so that no later cell may run in it.
        self.knows_answers = False
        self._channel = channel
        self._pidfd = pidfd
        self._kill = end
        self._watch = Watch(pidfd, channel, limits, spent)
        self._watch.start()
        self._channel.settimeout(SETUP_SECONDS)
        try:
            self._channel.sendall(encode({"files": files}))
            greeting = receive(self._channel, MIB)
        except (OSError, EOFError, ProtocolError) as error:
            greeting = {"unavailable": f"{type(error).__name__}: {error}"}
        if "ready" not in greeting:
            self.close()
            if "unfit" in greeting:
                raise CourseError(
                    f"The files next to the notebook do not fit into {limits.disk_mib:g} MiB "
                    f"({greeting['unfit']}): remove those that the assignment does not need, or "
                    "raise disk_mib, then grade again."
                )
            raise SandboxError(
                f"A student process could not be isolated ({greeting.get('unavailable')}): run "
                "`python -m autograder doctor` to see what is missing."
            )
        # The watch ends a process that takes too long. This timeout is for a watch that fails.
        self._channel.settimeout(limits.cell_wall_seconds + GRACE + 30)

    def __enter__(self) -> "StudentProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> int:
        """End the process and everything that it started; return its wait status."""
        if self._channel.fileno() < 0:
            return 0
        self._watch.stop()
        self._channel.close()
        return self._kill()

    def run_cell(self, source: str) -> CellResult:
        """Run a cell of the notebook; failures of student code are in the result, never raised."""
        try:
            reply, seconds = self._ask("run_cell", source=source)
            with self.protocol():
                outputs, failure, is_cut = _cell(reply, self.limits)
        except StudentEnded as end:
            return CellResult([], end.state, self._watch.seconds, end.sentence, alive=False)
        outputs, cut = self._within_notebook(outputs)
        if self._watch.interrupted:
            sentence = self._sentence(self._watch.interrupted)
            return CellResult(outputs, Ending.OUT_OF_TIME, seconds, sentence)
        if failure == "memory":
            return CellResult(outputs, Ending.OUT_OF_MEMORY, seconds, self._sentence("memory_mib"))
        state = Ending.FAILED if failure else Ending.OK
        return CellResult(outputs, state, seconds, cut or (self._sentence("output_kib") * is_cut))

    def _within_notebook(self, outputs: list[Output]) -> tuple[list[Output], str]:
        """The part of a cell's outputs that fits the notebook's limit; a sentence if it was cut."""
        size, limit = sum(map(length, outputs)), int(self.limits.notebook_output_mib * MIB)
        if self.spent.output + size <= limit:
            self.spent.output += size
            return outputs, ""
        self.spent.output = limit
        return errors_alone(outputs), self._sentence("notebook_output_mib")

    def has(self, name: str) -> bool:
        """Whether the cells defined a name.

        Raises:
            StudentEnded: the process has ended.
        """
        answer = self.ask("has", name=name)
        with self.protocol():
            return expected(answer, bool)

    def call(self, name: str, *arguments: Any, **keywords: Any) -> Any:
        """Call one of the student's functions.

        Returns:
            the data that it returns, or a `Handle` for an object that is not data.

        Raises:
            StudentError, ValueError, StudentEnded: as `ask` does.
        """
        return self.ask("call", name=name, arguments=arguments, keywords=keywords)

    def ask(self, action: str, **question: Any) -> Any:
        """Ask the process a question and return the value in its answer.

        Args:
            action: what is asked; `inside/answers.py` lists the actions.
            question: the fields that the action needs.

        Raises:
            StudentError: the student's code failed; the message is a sentence for the student.
            ValueError: the student's function raised it.
            StudentEnded: the process has ended.
        """
        reply, _ = self._ask(action, **question)
        with self.protocol():
            match reply:
                case {"value": value}:
                    return value
                case {"error": ["memory", str()]}:
                    refused: Exception = StudentError(self._sentence("memory_mib"))
                    self.failures.append((Ending.OUT_OF_MEMORY, str(refused)))
                case {"error": ["student", str(sentence)]}:
                    refused = StudentError(one_line(sentence[:SENTENCE]))
                    self.failures.append((Ending.FAILED, str(refused)))
                case {"error": ["value", str(sentence)]}:
                    refused = ValueError(one_line(sentence[:SENTENCE]))
                case _:
                    raise ProtocolError("A reply has a value or an error.")
        raise refused

    @contextmanager
    def protocol(self) -> Iterator[None]:
        """Check an answer: a `ProtocolError` in this context ends the process.

        Raises:
            StudentEnded: in place of the `ProtocolError`.
        """
        try:
            yield
        except ProtocolError as error:
            raise self._end_with(
                Ending.PROTOCOL_ERROR, f"Its process sent something that is not an answer. {error}"
            ) from None

    def _ask(self, action: str, **question: Any) -> tuple[Message, float]:
        if self.ended is not None:
            raise self.ended
        number = secrets.randbits(62)
        frame = encode({"do": action, **question, "number": number})
        self._watch.begin(heeds_sigint=action == "run_cell")
        try:
            with self.protocol():
                self._channel.sendall(frame)
                reply = receive(self._channel, int(self.limits.reply_mib * MIB))
                if reply.get("number") != number:
                    raise ProtocolError("It does not belong to the question.")
        except (EOFError, OSError):
            self._watch.end()
            raise self._why_closed() from None
        return reply, self._watch.end()

    def _sentence(self, limit: str) -> str:
        return sentence_for(limit, self.limits)

    def _end_with(self, state: Ending, sentence: str, *, is_spent: bool = False) -> StudentEnded:
        self.close()
        self.ended = StudentEnded(state, sentence, is_spent=is_spent)
        return self.ended

    def _why_closed(self) -> StudentEnded:
        """Find out why the channel is closed or silent."""
        exited, _, _ = select.select([self._pidfd], [], [], 2.0)
        limit = self._watch.killed
        status = self.close()
        if limit:
            state = Ending.OUT_OF_MEMORY if limit == "memory_mib" else Ending.OUT_OF_TIME
            is_spent = limit.startswith("notebook_")
            return self._end_with(state, self._sentence(limit), is_spent=is_spent)
        if not exited:
            return self._end_with(Ending.CRASHED, "It closed its connection to the grader.")
        if os.WIFEXITED(status):
            return self._end_with(Ending.CRASHED, "It ended its own process.")
        number = os.WTERMSIG(status)
        used_up = self.spent.cpu_seconds + 1 > self.limits.notebook_cpu_seconds
        if number == signal.SIGXCPU or (number == signal.SIGKILL and used_up):
            sentence = self._sentence("notebook_cpu_seconds")
            return self._end_with(Ending.OUT_OF_TIME, sentence, is_spent=True)
        if number == signal.SIGKILL:  # which a namespace's first process cannot send itself
            return self._end_with(
                Ending.KILLED,
                "Its process was killed from outside, by a person or because the grading machine "
                "ran out of memory.",
            )
        return self._end_with(Ending.CRASHED, f"Its process crashed: {signal.strsignal(number)}.")


def expected(value: Any, *kinds: type) -> Any:
    """Check that a value has one of these types, exactly, and return it.

    Raises:
        ProtocolError: it is not.
    """
    if type(value) not in kinds:
        raise ProtocolError(
            f"A value of type {type(value).__name__} is not an answer to this question."
        )
    return value


def _cell(reply: Message, limits: Limits) -> tuple[list[Output], str, bool]:
    outputs = checked(reply.get("outputs"), int((limits.output_kib + 256) * 1024))
    return outputs, expected(reply.get("failure"), str), expected(reply.get("cut"), bool)
