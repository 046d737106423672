"""Explainers: a pure function in, maps and numbers out. No model is known here."""

from stylejax.explain.attribution import integrated_gradients
from stylejax.explain.baselines import BASELINES, blur_baseline, noise_baseline
from stylejax.explain.completeness import Attribution, CompletenessWarning
from stylejax.explain.loss_accounting import Account, account
from stylejax.explain.paths import average_gradient
from stylejax.explain.quadrature import RULES
from stylejax.explain.receptive_field import (
    ReceptiveField,
    cell_box,
    theoretical_receptive_field,
)
from stylejax.explain.targets import (
    TARGET_GRAMMAR,
    Target,
    parse_target,
    region_energy,
    region_mean,
)

__all__ = [
    "BASELINES",
    "RULES",
    "TARGET_GRAMMAR",
    "Account",
    "Attribution",
    "CompletenessWarning",
    "ReceptiveField",
    "Target",
    "account",
    "average_gradient",
    "blur_baseline",
    "cell_box",
    "integrated_gradients",
    "noise_baseline",
    "parse_target",
    "region_energy",
    "region_mean",
    "theoretical_receptive_field",
]
