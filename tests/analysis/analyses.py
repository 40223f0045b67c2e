"""Every public analysis of a network, called in one way."""

from collections.abc import Callable

from torch import Tensor, nn

from convnets import analysis

STEPS = (0.0, 1.0)


def first_convolution(net: nn.Module) -> str:
    return next(name for name, module in net.named_modules() if isinstance(module, nn.Conv2d))


# Of a network, images (N, C, H, H) and their classes (N,).
ANALYSES: dict[str, Callable[[nn.Module, Tensor, Tensor], object]] = {
    "activation_statistics": lambda net, x, y: analysis.activation_statistics(net, x),
    "cka": lambda net, x, y: analysis.cka(net, x, ["features", "classifier"]),
    "dead_units": lambda net, x, y: analysis.dead_units(net, x),
    "effective_receptive_field": lambda net, x, y: analysis.effective_receptive_field(
        net, first_convolution(net), x.shape[-1], x
    ),
    "excitations": analysis.excitations,
    "feature_reuse": lambda net, x, y: analysis.feature_reuse(net, 1),
    "grad_cam": analysis.grad_cam,
    "gradient_norms": analysis.gradient_norms,
    "inference_peak": lambda net, x, y: analysis.inference_peak(net, x.shape[-1]),
    "loss_along_direction": lambda net, x, y: analysis.loss_along_direction(net, x, y, STEPS),
    "loss_surface": lambda net, x, y: analysis.loss_surface(net, x, y, STEPS),
    "numerical_receptive_field": lambda net, x, y: analysis.numerical_receptive_field(
        net, first_convolution(net), x.shape[-1]
    ),
    "receptive_field": lambda net, x, y: analysis.receptive_field(
        net, first_convolution(net), x.shape[-1]
    ),
    "residual_responses": lambda net, x, y: analysis.residual_responses(net, x),
    "saturation": lambda net, x, y: analysis.saturation(net, x),
    "saved_for_backward": lambda net, x, y: analysis.saved_for_backward(net, x.shape[-1]),
    "trace": lambda net, x, y: analysis.trace(net, x.shape[-1]),
}
# What takes no network.
OTHERS = {"linear_cka", "receptive_field_of_chain", "signal_propagation"}
