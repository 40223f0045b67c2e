"""The error that is shown to a person as a sentence, without a traceback."""


class CourseError(Exception):
    """Something that a person can fix; the message says what is wrong and what to do about it."""
