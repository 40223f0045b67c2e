import pytest

from convnets.lecture import Claim, verdict


@pytest.mark.parametrize(
    ("claimed", "computed"),
    [
        ("55", 55),
        ("1,179,648", 1179648),
        ("5e-4", 0.0005),
        ("0.9", 0.9),
        ("35K", 35000),
        ("GoogLeNet", "GoogLeNet"),
        (True, True),
        (("55x55x96", "4"), ("55x55x96", 4)),
    ],
)
def test_equal_values_are_exact(claimed, computed):
    assert verdict(claimed, computed) == "exact"


@pytest.mark.parametrize(
    ("claimed", "computed"),
    [
        ("35K", 34848),
        ("800K", 802816),  # zeros before a unit do not count
        ("3.2M", 3211264),
        ("6.7%", 6.67),
        ("12x", 11.6),
        (("138M", "8"), (138357544, 8)),
    ],
)
def test_values_equal_at_the_precision_of_the_claim_are_rounded(claimed, computed):
    assert verdict(claimed, computed) == "rounded"


@pytest.mark.parametrize(
    ("claimed", "computed"),
    [
        ("35K", 35500),
        ("36K", 34848),
        ("3.2M", 3260000),
        ("24M", 15237608),
        ("1000", 1024),  # without a unit every digit counts
        ("1e-5", 0.0001),
        ("12x", 8.7),
        ("POOL2", "POOL3"),
        (True, False),
        (("55x55x96", "4"), ("55x55x96", 1)),
        (("35K", "4"), (34848, 1)),  # the worst of several
    ],
)
def test_other_values_differ(claimed, computed):
    assert verdict(claimed, computed) == "differs"


@pytest.mark.parametrize("claimed", ["about 35K", "", True, "1.2.3"])
def test_a_claim_that_is_not_a_figure_is_refused_if_a_number_is_computed(claimed):
    with pytest.raises(ValueError, match="is not a figure"):
        verdict(claimed, 35000)


def test_several_claims_need_as_many_values():
    with pytest.raises(ValueError, match="2 claims need as many computed values, got 1"):
        verdict(("1", "2"), (1,))


def test_a_row_is_formatted_for_a_reader():
    row = Claim(5, "Parameters", "35K", lambda: 34848, lambda: f"Out of {1}.").check()
    assert (row.claimed, row.computed, row.verdict, row.note) == (
        "35K",
        "34,848",
        "rounded",
        "Out of 1.",
    )
    assert Claim(5, "Holds", True, lambda: False).check().computed == "no"
