import pytest
import torch

from convnets.layers import StochasticDepth


def test_whole_images_are_set_to_zero_and_the_mean_is_kept():
    y = StochasticDepth(0.25).train()(torch.ones(4000, 2, 3, 3))
    per_image = y.flatten(1)
    assert torch.equal(per_image.amin(1), per_image.amax(1))
    assert sorted(set(per_image[:, 0].tolist())) == pytest.approx([0, 1 / 0.75])
    assert y.mean().item() == pytest.approx(1, abs=0.04)


@pytest.mark.parametrize(("p", "training"), [(0.5, False), (0.0, True)])
def test_evaluation_and_probability_zero_change_nothing(p, training):
    x = torch.randn(4, 2, 3, 3)
    assert StochasticDepth(p).train(training)(x) is x


@pytest.mark.parametrize("p", [-0.1, 1.0])
def test_a_probability_outside_the_range_is_refused(p):
    with pytest.raises(ValueError, match="at least 0 and below 1"):
        StochasticDepth(p)
