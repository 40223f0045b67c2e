"""Release and grade the course's assignments, around nbgrader's own API."""
