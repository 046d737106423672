"""The page of proofs, section by section: a report in, Markdown out."""

# A mark that moves the target by less has not been learnt as a shortcut.
_LEARNT = 0.05


def figure(value):
    """A number as people read it."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "undefined"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.2g}" if abs(value) < 1e-2 else f"{value:.3f}"
    if isinstance(value, list):
        return ", ".join(
            f"({figure(v)})" if isinstance(v, list) else figure(v) for v in value
        )
    if isinstance(value, dict):
        return ", ".join(f"{k}: {figure(v)}" for k, v in value.items())
    return str(value)


def table(rows, heads):
    """A table in Markdown."""
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    lines += ["| " + " | ".join(map(figure, row)) + " |" for row in rows]
    return "\n".join(lines)


def origin(report):
    """Where and when figures were made."""
    made = report["environment"]
    took = f", {report['seconds']} s" if "seconds" in report else ""
    return f"`{report['command']}`, {made['date']}, {made['device']}{took}."


def attributions(report):
    """Integrated gradients: acceptance list, memory, regions, captum."""
    parts = [f"## Integrated gradients\n\n{origin(report)}\n"]
    for name in ("acceptance", "memory", "regions", "captum"):
        parts.append(f"### {name.capitalize()}\n")
        parts.append(table(report[name].items(), ("what", "figure")) + "\n")
    return "\n".join(parts)


def planted_twins(report):
    """Shortcuts, model pairs, blind test, controls, triangle."""
    rows = []
    for kind in ("visible", "invisible"):
        if kind not in report:
            continue
        found = report[kind]
        if abs(found["flip_planted"]) < _LEARNT:
            lead = f"{kind} mark: not learnt by the models in training"
            rows.append((lead, "nothing was planted: what follows says so, no more"))
        rows += [
            (
                f"{kind} mark: share of the map on it, planted models",
                found["share_planted"],
            ),
            (f"{kind} mark: the same, clean twins", found["share_clean_twin"]),
            (
                f"{kind} mark: its place in pictures without it, planted models",
                found["share_unmarked"],
            ),
            (f"{kind} mark: its share of the area", found["area"]),
            (
                f"{kind} mark: what it does to the output, planted",
                found["flip_planted"],
            ),
            (f"{kind} mark: the same, clean", found["flip_clean"]),
            (
                f"{kind} mark: planted above clean twin, share of pictures",
                found["contrast_positive"],
            ),
            (
                f"{kind} mark: blind test, right of {found['models']} [95 %]",
                [found["blind_right"], found["blind_interval"]],
            ),
            (
                f"{kind} mark: missed, false alarms",
                [found["missed"], found["false_alarms"]],
            ),
            (
                f"{kind} mark: AUC of the share [95 %]",
                [found["auc"], found["auc_interval"]],
            ),
        ]
    controls = dict(report["controls"])
    pictures, ours = controls.pop("pictures"), controls.pop("ours")
    rows.append((f"deletion area of our map ({pictures} pictures; low is good)", ours))
    rows += [
        (
            f"deletion area of the {name} map: area, p of ours being lower",
            [c["area"], c["p"]],
        )
        for name, c in controls.items()
    ]
    triangle = report["triangle"]
    rows.append(
        (
            "agreement with occlusion and insertion, Pearson",
            triangle["pearson"][0][1:],
        )
    )
    return f"## Planted shortcuts\n\n{origin(report)}\n\n" + table(
        rows, ("what", "figure")
    )


def shuffled_pairs(report):
    """Data randomisation."""
    rows = [
        (
            "colour painted against true colour, correlation: true pairs",
            report["learnt"],
        ),
        ("the same, shuffled pairs", report["learnt_shuffled"]),
    ]
    rows += [
        (
            f"{name}: passes, of; rank correlation signed, absolute; of the reference",
            [found[k] for k in ("passes", "of", "signed", "absolute", "reference")],
        )
        for name, found in report["explainers"].items()
    ]
    return (
        f"## Data randomisation\n\n{origin(report)} Maps of models of true pairs and"
        " of shuffled pairs: a good explainer gives different ones.\n\n"
        + table(rows, ("what", "figure"))
    )


def hidden_channels(report):
    """The detector of hidden messages."""
    rows = list(report["hand_made"].items())
    for direction, found in report["emoji"].items():
        rows.append(
            (
                f"shipped emoji, {direction}: {found['verdict']}, hidden share [95 %]",
                [found["hidden_share"], found["interval"]],
            )
        )
    return f"## Hidden messages\n\n{origin(report)}\n\n" + table(
        rows, ("what", "figure")
    )


def trained_channels(report):
    """Trained cycles that may hide their colours, beside those that cannot."""
    rows = [
        (
            f"{r['kind']} {i + 1}",
            r["returned"],
            r["returned_of_visible"],
            [r["hidden_share"], r["interval"]],
            r["verdict"],
            [r["wide_share"], r["wide_interval"]],
            r["wide_verdict"],
            r["clean_error"],
            r["noisy_error"],
        )
        for i, r in enumerate(report["rows"])
    ]
    heads = ("trained cycle", "colours returned", "from what is visible")
    heads += ("hidden share, 4 levels [95 %]", "verdict")
    heads += ("16 levels [95 %]", "verdict", "cycle error", "after noise of 3/256")
    found = report["summary"]
    auc, wide = figure(found["auc_hidden_share"]), figure(found["auc_wide_share"])
    return (
        f"## Hidden messages of trained cycles\n\n{origin(report)}\n\n"
        "B is grey, A is not, and the cycle asks for the colours back: plain and noisy"
        " cycles can only hide them, grey ones are not asked. AUC, plain against grey:"
        f" {auc} where up to 4 grey levels are exchanged (the default), {wide} where up"
        " to 16, which can be seen. The 16 were chosen after the default had missed"
        " these very messages, which are about 10 levels strong.\n\n"
        + table(rows, heads)
    )


def hallucination_mix(report):
    """Discs that translators add and take, by their share in the target domain."""
    parts = [f"## The hallucination mix\n\n{origin(report)}\n"]
    heads = ("share of B with a disc", "white disc [95 %]", "by model")
    heads += (
        "any difference there",
        "audit with segmenter",
        "audit of structure",
        "colour error",
    )
    for arm in ("added", "taken"):
        found = report[arm]
        rows = [
            (
                r["dose"],
                r["share"],
                r["each"],
                r["differs"],
                r["vanishing"],
                r.get("structure"),
                r["color_error"],
            )
            for r in found["by_dose"]
        ]
        null, response = found["null_rendering"], found["response"]
        rows.append(
            (
                "known rendering",
                null["share"],
                "",
                null["differs"],
                null["vanishing"],
                null["structure"],
                0.0,
            )
        )
        parts.append(f"### Discs {arm}\n\n" + table(rows, heads) + "\n")
        slope = figure([response["slope"], response["slope_interval"]])
        auc = figure(found.get("structure_auc"))
        other = figure(found.get("structure_auc_any"))
        parts.append(
            f"Discs in the outputs, by dose: slope {slope}; trend p ="
            f" {figure(response['picture_p'])} over pictures,"
            f" {figure(response['model_p'])} over {len(found['rows'])} models. AUC of"
            f" the audit of structure for white discs {arm}: {auc}; for any difference"
            f" to the known rendering there: {other}.\n"
        )
    return "\n".join(parts)


def probe_emoji(report):
    """What each layer of the shipped network carries."""
    rows = [
        (
            f"{r['direction']} {r['factor']}",
            r["layer"],
            r["score"],
            r["interval"],
            r["majority"],
            r["moments"],
            r["random_network"],
        )
        for r in report["rows"]
    ]
    heads = ("factor", "layer", "score", "95 %", "majority", "pixel moments", "random")
    return f"## Probes of the shipped CycleGAN\n\n{origin(report)}\n\n" + table(
        rows, heads
    )


def shape_factors(report):
    """Planted factors: what probes find of them, what directions do to them."""
    read, moved, changed = [], [], []
    for found in report["models"]:
        name = f"{'planted' if found['planted'] else 'drawing only'} {found['seed']}"
        changes = dict(found["picture_changes"])
        if not found["planted"]:  # It holds no hue that could be removed.
            changes.pop("hue")
        for r in found["probes"]:
            if r["kind"] == "removed" and not found["planted"]:
                continue
            score = [r["score"], r["std"], r["majority"]]
            others = [r["baselines"].get(k, "") for k in ("pixels", "random network")]
            told = "" if r["as_expected"] is None else r["as_expected"]
            row = (name, r["factor"], r["kind"], r["metric"], *score, *others)
            read.append((*row, r["selectivity"], told))
        for r in found["directions"]["effects"]:
            slopes = found["directions"]["agreement"][r["factor"]]
            row = (name, r["factor"], r["direction"], r.get("cosine_with_planted", ""))
            row += (r["gain"], r["spearman"], r["p"], [r["removed"], r["p_removed"]])
            moved.append((*row, slopes[r["direction"]]["cosine"], slopes["random"]))
        for what, value in found["painted"].items():
            changed.append((f"{name}: {what} in the drawings, R2 or accuracy", value))
        for what, value in found["swaps"].items():
            changed.append((f"{name}: {what} drawn as the class swapped in", value))
        lead = f"{name}: change of the drawing (RMS) by projecting out"
        changed.append((lead, changes))
        for what, told in found["directions"]["agreement"].items():
            lead = f"{name}: derivative by {what} through the network, the renderer's"
            changed.append((lead, told["network"]))
        for kind in ("normals", "covariances"):
            told = found["directions"][f"entanglement of {kind}"]
            both = [told["disentanglement"], told["turned_at_random"]]
            lead = f"{name}: disentanglement of {kind}; turned at random, 95 %"
            changed.append((lead, both))
    heads = ("model", "factor", "kind", "metric", "score", "std", "chance", "pixels")
    heads += ("random network", "selectivity", "as expected")
    moving = ("model", "factor", "direction", "cosine with the planted one", "gain")
    moving += ("Spearman", "p", "change when projected out, p", "cosine of derivatives")
    moving += ("random directions",)
    goal = (
        f"Expected: planted factors score at least {figure(report['goal'])}, absent and"
        " removed ones lie within 2 std of chance. Gain: the factor measured in the"
        " drawing, over what the step in the latent was to give."
    )
    tables = [
        table(read, heads),
        table(moved, moving),
        table(changed, ("what", "figure")),
    ]
    parts = [f"## Planted factors\n\n{origin(report)}", goal, *tables]
    return "\n\n".join(parts)
