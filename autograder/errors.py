"""The error that reaches a person as one sentence, without a traceback."""


class CourseError(Exception):
    """Something that a person must put right; the message says what, and what to do."""
