"""`fmtool train` alone: everything that a project's file says, from scans to heads."""

from __future__ import annotations

from pathlib import Path

from fmtool import project as projects


def run(folder: Path | None) -> None:
    """Train what the project of a folder, or of the working folder, says and lacks."""
    from fmtool.cli import console

    found = projects.find(folder)
    if found is None:
        console.needs_project("train", "say a step: `fmtool train --help` lists them")
    from fmtool.cli.train import evidence
    from training.project import steps

    for step in steps.train(found, console.say):
        console.say(f"{step.name}: {'done already' if step.again else 'done'}, {step.place}")
        if step.head is not None:
            name = {"probe": "linear probe", "finetune": "fine-tuned"}[found.heads.recipe]
            evidence.show(step.head, name, step.place, step.place)
    console.say(f"All that {found.file} says is trained; `fmtool export` makes {found.bundle}.")
