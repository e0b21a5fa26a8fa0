"""`unspool warmup`: compile what training and encoding run on, before they do."""

EXAMPLE = "unspool warmup"


def warmup() -> None:
    """Compile what models run on and keep it, so that no later run has to wait for it."""
    from time import perf_counter

    import torch

    from unspool.blueprint import Kernels
    from unspool.cli.options import say
    from unspool.lstm import Call, choose
    from unspool.lstm.backends import compiled
    from unspool.nn import Autoencoder, LSTMDecoder, LSTMEncoder
    from unspool.nn.fused import loss_sum

    choose(Call(), "compiled")
    start = perf_counter()
    folder = compiled.warmup()
    model = Autoencoder(LSTMEncoder(1, 1), {"reconstruction": LSTMDecoder("repeat", 1, 1)})
    loss_sum(model, torch.zeros(64, 1, 1), None, "mse")
    with torch.inference_mode():
        model(torch.zeros(1, 1, 1))
        LSTMEncoder(1, 1, kernels=Kernels.of(1, 1, 1))(torch.zeros(1, 1, 1))
    say(f"compiled code is ready after {perf_counter() - start:.1f} s")
    if folder is None:
        say(
            "it is not kept: no folder for it can be written, and every run compiles anew; "
            "the variable NUMBA_CACHE_DIR can name a folder"
        )
    else:
        say(f"it is kept in {folder}")
