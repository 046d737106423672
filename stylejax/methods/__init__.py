"""One file per method, and the dictionaries from a method's name to its module.

`METHODS` are trained translators between two domains; `STYLIZERS` paint any content:
`LEARNED` ones in any style with trained networks, `FIXED` ones in the styles that they
were trained on, the others by optimisation.
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
STYLIZERS = {"gatys": gatys} | LEARNED | FIXED
TRAINED = METHODS | LEARNED | FIXED
"""What `stylejax.fit` trains."""
