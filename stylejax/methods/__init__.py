"""One file per method, and the dictionaries from a method's name to its module.

`METHODS` are trained translators between two domains; `STYLIZERS` paint any content in
any style: `LEARNED` ones with trained networks, the others by optimisation. `FIXED`
networks paint in the styles they were trained on.
"""

from stylejax.methods import (
    adain,
    autoencoder,
    cyclegan,
    feedforward,
    gatys,
    slim,
    style_attention,
)

METHODS = {"autoencoder": autoencoder, "cyclegan": cyclegan}
LEARNED = {"adain": adain, "slim": slim, "style_attention": style_attention}
FIXED = {"feedforward": feedforward}
STYLIZERS = {"gatys": gatys} | LEARNED
TRAINED = METHODS | LEARNED | FIXED
"""What `stylejax.fit` trains."""
