"""MODEL_CARD.md: what a bundle is and how far to trust it, in plain words, from its manifest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from export.parts import site
from export.parts.limits import BREAKS, limits
from fmtool import NOTICE
from fmtool.bundle import sites
from fmtool.bundle.encoder import EncoderFacts
from fmtool.bundle.exposure import BundleExposure, Exposure, sentence
from fmtool.bundle.manifest import Manifest, TaskEntry
from fmtool.bundle.rivals import BETTER, rivals

CARD, LICENCES = "MODEL_CARD.md", "LICENSES/"
"""Its name inside a bundle, and the folder of the licences."""

WEIGHTS_LICENCE = f"{LICENCES}weights.txt"
"""That of the encoder's and heads' weights, where it is not the code's."""

_INTENDED = (
    "Research on T1-weighted MRI of adult heads: studying embeddings, predictions and their "
    "agreement with known labels, in cohorts like the sample below. Not for one person's care."
)

_NOT_MEASURED = (
    "Not measured: how far another pose, other voxels or noise move them is not known. "
    "`python -m benchmarks.robustness --bundle BUNDLE --heads FOLDER --out OUT` measures it on "
    "heads of yours; `fmtool bundle robustness OUT/robustness.json --bundle BUNDLE` tells it."
)

_MEANING = {
    "regression": "the value",
    "binary": "a logit, whose sigmoid is the probability of {1}",
    "multiclass": "a logit for each of {all}, whose softmax is their probabilities",
    "ordinal": "a score, which thresholds part into {all}, from least to most",
}


def card(
    manifest: Manifest,
    licences: Sequence[str] = (),
    robustness: Sequence[str] = (),
    seen: BundleExposure = BundleExposure(),
) -> str:
    """The model card of a bundle.

    Args:
        manifest: the bundle's; its `files` are not needed.
        licences: names of the licence files in the bundle.
        robustness: sentences by `runtime.trust.robustness`.
        seen: whose scans set the weights of its encoders, where there are several.

    Returns:
        Markdown.
    """
    calibrated = any("trust" in entry.evidence for entry in manifest.tasks.values())
    sections = [
        f"# {manifest.name}",
        NOTICE,
        *([_DEMONSTRATION] if manifest.demonstration else []),
        "## What it is",
        _what(manifest, seen),
        *_descent(manifest),
        "## What it predicts, and how well",
        *(map(_task, manifest.tasks.values()) if manifest.tasks else ["Nothing: embeddings only."]),
        "## How far its outputs move",
        _bullets(robustness) if robustness else _NOT_MEASURED,
        *_parity(manifest.parity),
        "## Intended use",
        _INTENDED,
        "## Limits",
        _bullets([*manifest.limits, *_LIMITS, _INTERVAL, *([BREAKS] if calibrated else [])]),
        "## Licences",
        _bullets(licences) if licences else "No licence file is enclosed.",
    ]
    return "\n\n".join(sections) + "\n"


_LIMITS = (
    "Another scanner, age range, sequence or skull strip than the sample's is untested ground.",
    "A prediction describes a scan, not a person; an attribution map shows what the head weighs, "
    "not a cause.",
)


_INTERVAL = (
    "A figure's 95 % interval is of heads like this one, fitted on other people of the same kind; "
    "cross-validated, of heads fitted on four fifths of them. This head's own error on new people "
    "can lie outside more often."
)

_DEMONSTRATION = (
    "**This is a demonstration.** It shows that the chain works from a scan to a result; its heads "
    "know the sample below and no other: for a scanner of yours, calibrate it or make your own."
)


def _what(manifest: Manifest, seen: BundleExposure) -> str:
    precisions = " and ".join(manifest.model)
    reads = (
        "It reads a brain on the MNI152 grid, rigidly "
        "registered and never scaled; the intensities are z-scored inside the brain mask by the "
        "model itself."
    )
    made = f"Made {manifest.created} by fmtool {manifest.fmtool}."
    if len(manifest.encoders) == 1:
        (one,) = manifest.encoders
        return (
            f"A {_network(one)} with linear heads, as ONNX in {precisions}. {reads}\n\n"
            f"Encoder weights: {_weights(one)} {made}"
        )
    count = len(manifest.encoders)
    each = [
        f"Of {' and '.join(one.tasks or ['no head'])}: a {_network(one)}. Weights: {_weights(one)} "
        f"{_seen(seen.below(one.tasks[0]) if one.tasks else seen.encoder)}"
        for one in manifest.encoders
    ]
    return (
        f"{count} encoders, each with linear heads of its own, as one ONNX model in {precisions}. "
        f"{reads}\n\n{_bullets(each)}\n\n{made}"
    )


def _network(encoder: EncoderFacts) -> str:
    grid = ""
    if encoder.cells:
        grid = f", cut after stage {encoder.stage}, in {'x'.join(map(str, encoder.cells))} cells"
        grid += " beside local intensity histograms" if encoder.more.get("histogram") else ""
    return (
        f"{encoder.architecture} of width {encoder.width:g}{grid} "
        f"({encoder.parameters / 1e6:.2f} million parameters, {encoder.features} features)"
    )


def _weights(encoder: EncoderFacts) -> str:
    return f"{encoder.source or 'source not stated'}; SHA-256 `{encoder.sha256}`."


def _seen(seen: Exposure) -> str:
    """Whose scans set an encoder's weights."""
    images, labels = len(seen.subjects), len(seen.labelled_subjects)
    if not images:
        return "Nobody's scans set them." if seen.complete else "Whose scans set them is not known."
    said = f"The images of {images} subjects set them, and the labels of {labels} of these"
    return f"{said}." if seen.complete else f"{said}; who else is not known."


def _descent(manifest: Manifest) -> list[str]:
    parent = manifest.parent
    if parent is None:
        return []
    return [
        "## Whose child it is",
        f"A child of the bundle {parent.name}, digest `{parent.digest}`: {parent.made} Its "
        "encoder and preprocessing, and any other head, are its parent's, weight for weight.",
    ]


def _parity(parity: Mapping[str, Any]) -> list[str]:
    if not parity:
        return []
    lines = [
        "| model | embedding | tasks | worst output, share of its tolerance | compared |",
        "|---|---|---|---|---|",
    ]
    for precision, found in parity.items():
        shifts = ", ".join(
            f"{name} {task['shift']:.2g} {task['unit']}" for name, task in found["tasks"].items()
        )
        worst = found["worst"]
        batches = ", ".join(map(str, found["batches"]))
        lines.append(
            f"| {precision} | {found['embedding']:.2g} | {shifts or '-'} | {worst['output']}, "
            f"{worst['share']:.0%} ({worst['engine']}, batch {worst['batch']}) | "
            f"{found['volumes']} volumes, batches {batches}, {', '.join(found['engines'])} |"
        )
    return [
        "## How exactly its models reproduce torch",
        "Measured on a CPU when the bundle was made: the embedding's largest relative error, and "
        "each task's largest shift, against float32 torch.",
        "\n".join(lines),
        *(
            f"Of the {precision} model, these layers stay in float32, as their activations are too "
            f"large: {', '.join(found['float32_layers'])}."
            for precision, found in parity.items()
            if "float32_layers" in found
        ),
    ]


def _task(entry: TaskEntry) -> str:
    task = entry.task
    names = task.classes or ("", "")
    meaning = _MEANING[task.kind].format(*names, all=", ".join(names))
    unit = f" in {task.unit}" if task.kind == "regression" else ""
    paragraphs = [
        f"### {task.name}",
        f"The output is {meaning}{unit}. {_evidence(entry.evidence)}",
        limits(entry),
        *_sites(entry.evidence),
    ]
    if "site" in entry.evidence:
        said = site.sentences(task, entry.evidence)
        parent = entry.evidence["parent"]
        told = [f"The parent's head: {_evidence(parent)}", sites.harmonised(parent) or ""]
        paragraphs += [" ".join(said), " ".join(told).strip()]
    return "\n\n".join(paragraphs)


def _evidence(evidence: Mapping[str, Any]) -> str:
    """The cross-validated figure, what it is compared with, and which of the two is better."""
    metric = evidence.get("metric", "figure")
    if "value" in evidence:
        how = evidence.get("how", "cross-validated")
        figure = f"{_figure(evidence['value'], evidence)}{_span(evidence)}"
        said = [f"{how[:1].upper()}{how[1:]} {metric} {figure}."]
    else:
        said = ["No figure of new scans is stored: how good it is, is not known."]
    if "sample" in evidence:
        said.append(f"Sample: {evidence['sample']}.")
    if "value" in evidence:
        said.append(sentence(evidence))
    if "beats_baseline" in evidence:
        name = evidence["baseline_name"]
        if "baseline" in evidence:
            name += f", {metric} {_figure(evidence['baseline'], evidence)}"
        said.append(
            f"The head beats its baseline ({name})."
            if evidence["beats_baseline"]
            else f"**The head does not beat its baseline ({name}): read its values as a "
            "demonstration, not as information.**"
        )
    balanced = evidence.get("balanced_accuracy")
    if balanced:
        low, high = balanced["interval"]
        recalls = [f"{name} {one['value']:.2f}" for name, one in evidence["recall"].items()]
        said.append(
            f"Balanced accuracy {balanced['value']:.2f} (95 % interval {low:.2f} to {high:.2f}; "
            f"{balanced['majority']:.2f} by always naming one class); of each class is told "
            f"rightly: {', '.join(recalls)}."
        )
    if off := evidence.get("classes_off"):
        kappa = evidence["kappa"]
        said.append(
            f"MAE {off['value']:.2f} classes{_span(off)}, {off['median']:.2f} by always naming the "
            f"median class; quadratic weighted kappa {kappa['value']:.2f}{_span(kappa)}."
        )
    for rival in rivals(evidence):
        name = f"{rival.name[:1].upper()}{rival.name[1:]}"
        if rival.value is None:
            said.append(f"{name} was not measured.")
            continue
        better = rival.verdict if rival.verdict == BETTER else f"**{rival.verdict}**"
        said.append(
            f"{name} reaches {metric} {_figure(rival.value, evidence)} in the same folds; the head "
            f"{better}."
        )
    if "covariates" in evidence:
        said.append(f"Known without a scan: {evidence['covariates']['said']}")
    return " ".join(said)


def _sites(evidence: Mapping[str, Any]) -> list[str]:
    """What heads of the other sites reach at each, and what harmonising did."""
    figures = list(sites.left_out(evidence.get("leave_one_site_out")))
    said = [" ".join(sites.sentences(evidence))] if evidence.get("harmonised") else []
    if not figures:
        return said
    lines = [
        f"| left out | scans | {evidence.get('metric', 'figure')} | 95 % interval | baseline |",
        "|---|---|---|---|---|",
    ]
    for one in figures:
        name = one.name.replace("|", "\\|")
        if one.value is None or one.interval is None:
            lines.append(f"| {name} | {one.people} | too small: {one.why} | | |")
            continue
        low, high = one.interval
        reached = _figure(one.value, evidence)
        if one.balanced is not None:
            reached += f", balanced accuracy {one.balanced:.2f}"
        lines.append(
            f"| {name} | {one.people} | {reached} | {low:.3g} to {high:.3g} | "
            f"{_figure(one.baseline or 0.0, evidence)} ({one.baseline_name}) |"
        )
    return [
        *said,
        "At sites that heads of the others have not seen, each left out once"
        + (", its scans as they come:" if said else ":"),
        "\n".join(lines),
    ]


def _figure(value: float, evidence: Mapping[str, Any]) -> str:
    unit = evidence.get("unit")
    return f"{value:.3g} {unit}" if unit else f"{value:.3g}"


def _span(evidence: Mapping[str, Any]) -> str:
    if not evidence.get("interval"):
        return ""
    low, high = evidence["interval"]
    return f" (95 % interval {low:.3g} to {high:.3g})"


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
