"""What training minimises: the reconstruction's distance from its input."""

from torch import Tensor

from unspool.nn import whole
from unspool.nn.autoencoder import Autoencoder
from unspool.nn.losses import LOSSES, count_values, masked_sum


def reconstruction_loss(
    model: Autoencoder, x: Tensor, lengths: Tensor | None, loss: str
) -> tuple[Tensor, int]:
    """The loss of a batch (B, T, F), added up over real steps, and how many values are in it.

    Computed in one call with its gradients where `unspool.nn.whole` serves the model.
    """
    total = whole.loss_sum(model, x, lengths, loss)
    if total is None:
        total = masked_sum(LOSSES[loss](model(x, lengths), x), lengths)
    return total, count_values(x, lengths)
