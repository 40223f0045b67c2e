"""One student process, seen from the trusted side.

Whatever the process does ends in an `Ending`, with a sentence for the student. What it answers is a
claim: decoded, checked for its type, and never run.
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
SENTENCE = 2000  # characters of a sentence that a student process may write


class StudentProcess:
    """A student process; made by `Sandbox.start`.

    Args:
        channel: to the process.
        pidfd: names the process.
        end: kills its process namespace, and gives its wait status.
        limits: what it may use.
        files: what lies in its folder.
        spent: of the notebook's limits, before.

    Raises:
        SandboxError: the process could not be walled in.
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
        #: Why the process is gone; `None` as long as it lives.
        self.ended: StudentEnded | None = None
        #: How each answer failed, and the sentence that says so.
        self.failures: list[tuple[Ending, str]] = []
        #: Whether it was sent right answers, which no later cell may find there.
        self.knows_answers = False
        self._channel = channel
        self._pidfd = pidfd
        self._kill = end
        self._watch = Watch(pidfd, limits, spent)
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
                    f"The files beside the notebook do not fit into its folder of "
                    f"{limits.disk_mib:g} MiB ({greeting['unfit']}). Take away what the assignment "
                    "does not need, or raise disk_mib, then grade again."
                )
            raise SandboxError(
                f"A student process could not be walled in: {greeting.get('unavailable')}. "
                "`python -m autograder doctor` says what is missing."
            )
        # The watch ends whatever takes too long; this is for the case that it cannot.
        self._channel.settimeout(limits.cell_wall_seconds + GRACE + 30)

    def __enter__(self) -> "StudentProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> int:
        """End the process and all that it started; its wait status."""
        if self._channel.fileno() < 0:
            return 0
        self._watch.stop()
        self._channel.close()
        return self._kill()

    def run_cell(self, source: str) -> CellResult:
        """Run a cell of the notebook. Raises nothing for what student code does."""
        try:
            reply, seconds = self._ask("run_cell", source=source)
            with self.protocol():
                outputs, failure, is_cut = _cell(reply, self.limits)
        except StudentEnded as end:
            return CellResult([], end.state, self._watch.seconds, end.sentence, alive=False)
        outputs, cut = self._in_total(outputs)
        if self._watch.interrupted:
            sentence = self._over(self._watch.interrupted)
            return CellResult(outputs, Ending.OUT_OF_TIME, seconds, sentence)
        if failure == "memory":
            return CellResult(outputs, Ending.OUT_OF_MEMORY, seconds, self._over("memory_mib"))
        state = Ending.FAILED if failure else Ending.OK
        return CellResult(outputs, state, seconds, cut or (self._over("output_kib") * is_cut))

    def _in_total(self, outputs: list[Output]) -> tuple[list[Output], str]:
        """What of a cell's outputs the notebook may still show; a sentence if that is not all."""
        size, limit = sum(map(length, outputs)), int(self.limits.notebook_output_mib * MIB)
        if self.spent.output + size <= limit:
            self.spent.output += size
            return outputs, ""
        self.spent.output = limit
        return errors_alone(outputs), self._over("notebook_output_mib")

    def has(self, name: str) -> bool:
        """Whether the cells defined a name."""
        answer = self.ask("has", name=name)
        with self.protocol():
            return expected(answer, bool)

    def call(self, name: str, *arguments: Any, **keywords: Any) -> Any:
        """What a function of theirs returns; a `Handle` for what is not data."""
        return self.ask("call", name=name, arguments=arguments, keywords=keywords)

    def ask(self, action: str, **question: Any) -> Any:
        """The value that the process answers with.

        Raises:
            StudentError: the student's code failed, with a sentence.
            ValueError: the student's function raised it.
            StudentEnded: the process is gone.
        """
        reply, _ = self._ask(action, **question)
        with self.protocol():
            match reply:
                case {"value": value}:
                    return value
                case {"error": ["memory", str()]}:
                    refused: Exception = StudentError(self._over("memory_mib"))
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
        """A `ProtocolError` inside ends the process."""
        try:
            yield
        except ProtocolError as error:
            raise self._over_with(
                Ending.PROTOCOL_ERROR, f"Its process sent what is no answer. {error}"
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
                    raise ProtocolError("It came before it was asked for.")
        except (EOFError, OSError):
            self._watch.end()
            raise self._gone() from None
        return reply, self._watch.end()

    def _over(self, limit: str) -> str:
        return sentence_for(limit, self.limits)

    def _over_with(self, state: Ending, sentence: str, *, is_spent: bool = False) -> StudentEnded:
        self.close()
        self.ended = StudentEnded(state, sentence, is_spent=is_spent)
        return self.ended

    def _gone(self) -> StudentEnded:
        """The channel is closed or silent; why?"""
        exited, _, _ = select.select([self._pidfd], [], [], 2.0)
        limit = self._watch.killed
        status = self.close()
        if limit:
            state = Ending.OUT_OF_MEMORY if limit == "memory_mib" else Ending.OUT_OF_TIME
            is_spent = limit.startswith("notebook_")
            return self._over_with(state, self._over(limit), is_spent=is_spent)
        if not exited:
            return self._over_with(Ending.CRASHED, "Its process closed the line to the examiner.")
        if os.WIFEXITED(status):
            return self._over_with(Ending.CRASHED, "It ended its own process.")
        number = os.WTERMSIG(status)
        used_up = self.spent.cpu_seconds + 1 > self.limits.notebook_cpu_seconds
        if number == signal.SIGXCPU or (number == signal.SIGKILL and used_up):
            sentence = self._over("notebook_cpu_seconds")
            return self._over_with(Ending.OUT_OF_TIME, sentence, is_spent=True)
        if number == signal.SIGKILL:  # which a namespace's first process cannot send itself
            return self._over_with(
                Ending.KILLED,
                "Its process was killed from outside, by a person or because this machine ran out "
                "of memory.",
            )
        return self._over_with(Ending.CRASHED, f"Its process crashed: {signal.strsignal(number)}.")


def expected(value: Any, *kinds: type) -> Any:
    """The value, which must be of one of these types.

    Raises:
        ProtocolError: it is not.
    """
    if type(value) not in kinds:
        raise ProtocolError(f"A {type(value).__name__} is no answer to this.")
    return value


def _cell(reply: Message, limits: Limits) -> tuple[list[Output], str, bool]:
    outputs = checked(reply.get("outputs"), int((limits.output_kib + 256) * 1024))
    return outputs, expected(reply.get("failure"), str), expected(reply.get("cut"), bool)
