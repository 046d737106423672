"""One file per method, and the dictionaries from a method's name to its module.

`METHODS` are trained translators between two domains; `STYLIZERS` paint any content in
any style.
"""

from stylejax.methods import cyclegan, gatys

METHODS = {"cyclegan": cyclegan}
STYLIZERS = {"gatys": gatys}
