"""`unspool warmup`: compile the kernels before their first use."""

EXAMPLE = "unspool warmup"


def warmup() -> None:
    """Compile the kernels that models run on, and cache them, so that no later run has to wait."""
    from time import perf_counter

    import torch

    from unspool.blueprint import Kernels
    from unspool.cli.options import say
    from unspool.lstm import Call, choose
    from unspool.lstm.backends import compiled
    from unspool.nn import Autoencoder, LSTMDecoder, LSTMEncoder
    from unspool.nn.fused import Target, losses
    from unspool.training.gradients import Gradients
    from unspool.training.optimizers import make_optimizer

    choose(Call(), "compiled")
    start = perf_counter()
    folder = compiled.warmup()
    model = Autoencoder(LSTMEncoder(1, 1), {"reconstruction": LSTMDecoder("repeat", 1, 1)})
    for batch in (2, 1024):  # small batches have tiles of one vector
        x = torch.zeros(batch, 1, 1)
        losses(model, x, None, {"reconstruction": Target(x)}, "mse")
    weight = torch.nn.Parameter(torch.ones(1))
    weight.grad = torch.ones(1)
    Gradients([weight]).clip(0.5)
    make_optimizer("adam", [weight]).step()
    with torch.inference_mode():
        model(torch.zeros(1, 1, 1))
        LSTMEncoder(1, 1, kernels=Kernels.of(1, 1, 1))(torch.zeros(1, 1, 1))
    say(f"the compiled kernels are ready after {perf_counter() - start:.1f} s")
    if folder is None:
        say(
            "they are not cached, since no cache folder is writable, and every process compiles "
            "them "
            "again; set the variable NUMBA_CACHE_DIR to a writable folder"
        )
    else:
        say(f"they are cached in {folder}")
