from datetime import datetime

import pytest

from autograder.late import SECONDS_A_DAY, LatePolicy

pytestmark = pytest.mark.slow  # real nbgrader runs


def policy(time_zone="UTC", percent_per_day=10):
    return LatePolicy(
        deadline="2026-11-13 18:00",
        time_zone=time_zone,
        percent_per_day=percent_per_day,
        last_day=5,
    )


@pytest.mark.parametrize(
    ("seconds_late", "penalty"),
    [
        (1, 3),
        (SECONDS_A_DAY, 3),
        (SECONDS_A_DAY + 1, 6),
        (5 * SECONDS_A_DAY, 15),
        (5 * SECONDS_A_DAY + 1, 30),
        (100 * SECONDS_A_DAY, 30),
    ],
)
def test_each_started_day_costs_a_tenth_of_the_maximum_and_the_sixth_everything(
    seconds_late, penalty
):
    assert policy().penalty(30, seconds_late) == pytest.approx(penalty)


def test_the_penalty_is_never_more_than_the_maximum():
    assert policy(percent_per_day=40).penalty(30, 4 * SECONDS_A_DAY) == 30


def test_the_deadline_counts_in_its_time_zone():
    assert policy().deadline_in_utc == datetime(2026, 11, 13, 18)
    assert policy(time_zone="Asia/Hong_Kong").deadline_in_utc == datetime(2026, 11, 13, 10)


def test_students_read_deadline_zone_and_policy_in_words():
    assert policy().deadline_in_words == "13 November 2026, 18:00 (UTC)"
    assert "10 % of the maximum" in policy().in_words
    assert "After 5 days" in policy().in_words


def test_the_config_states_the_policy_of_the_course(original):
    configured = original.late_policy()
    assert configured.deadline_in_utc == datetime(2026, 11, 13, 18)
    assert (configured.percent_per_day, configured.last_day) == (10, 5)
