"""unspool winds sequences onto a small vector, the code, and unwinds them again.

    from unspool import LSTMAutoencoder

    autoencoder = LSTMAutoencoder(latent_dim=16).fit(X)     # X: (N, T, F), (N, T) or a ragged list
    codes = autoencoder.transform(X)                        # (N, 16)
    again = autoencoder.reconstruct(X)                      # as X

The names below load at first use, so that `import unspool` is quick and brings no torch with it.
"""

import lazy_loader as _lazy

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
