"""Explainers: a pure function in, maps and numbers out. No model is known here.

Targets say what is explained, attributions by what, and every answer comes with its
error. The names below are imported when they are first used: some need SciPy or Flax.
Functions that are called as their module are not among them: take
`stylejax.explain.occlusion.occlusion`, and so `agreement`, `dose_response`,
`effective_field`, `entanglement`, `invisible_changes`, `probe_report` and
`structure_change`.
"""

import importlib
from typing import Any

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

_LAZY = {
    # Targets.
    "network_targets": (
        "band_energy content_distance cycle_error discriminator_logit probe_score"
        " segment_area style_distance"
    ),
    "scalars": "Named Scalar named",
    # Attribution to pixels and regions.
    "attribution_batch": "BatchAttribution batch_attribution",
    "curves": "blur_curve curve_gradients guided_gradients statistics_curve",
    "effective_field": "closed_form_shares project_cells",
    "energy_maps": "centroid diffusion_index energy_inside energy_radii",
    "gradients": "expected_gradients gradient input_x_gradient smooth_gradient",
    "memory": "chunk_within temporary_bytes",
    "occlusion": "RegionEffects region_effects",
    "regions": "RegionMaps RegionTable region_maps region_table",
    "style_codes": "CodeAttribution code_attribution",
    # Inside the network.
    "activations": "activation_paths edit record with_activations",
    "attention": "attention_map attention_rollout",
    "attention_agreement": "rank_agreement sign_violations",
    "attention_interventions": (
        "intervene permuted_attention position_effects shuffled_attention"
        " uniform_attention without_keys"
    ),
    "concept_vectors": "concept_vector",
    "concepts": "ConceptScore concept_test",
    "cross_validation": "assign_folds control_targets nested_folds",
    "directions": (
        "jacobian_directions principal_directions randomized_principal_directions walk"
    ),
    "dissection": "Dissection dissect_units unit_levels",
    "edits": "Add Mask Replace Scale apply_edit",
    "entanglement": "dci_scores entanglement_band",
    "feature_maps": "FeatureSheet TopPictures feature_sheet top_pictures",
    "feature_visualization": "FeatureVisualization feature_objective visualize_feature",
    "layers": "ClassMap grad_cam layer_gradients",
    "marks": "mark",
    "patching": "Patching patch_channels patch_layers patch_regions",
    "probe_arrays": "circular_columns",
    "probe_directions": (
        "DirectionEffect conditional_direction direction_effect project_out"
    ),
    "probe_report": "FeatureScore ProbeReport",
    "probes": "Probe logistic_probe ridge_probe",
    "units": "Ablation SetAblation ablate_set ablate_units",
    # Are they right?
    "controls": "CONTROLS sobel_explainer",
    "detection": "binomial_interval detection_rate roc_auc",
    "hallucination": "vanishing_check",
    "paired": "PairedTest paired_test sign_test",
    "planted": "mark_share model_contrast pick_region region_ranking",
    "random_params": "randomize_params",
    "randomization": "compare_maps randomization_check",
    "stego": "StegoReport find_hidden_channel",
}
_HOME = {name: module for module, names in _LAZY.items() for name in names.split()}

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
__all__ += sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_HOME[name]}")
    value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
