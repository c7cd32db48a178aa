"""Fine-tuning: supervised training of all weights that starts from a pretrained encoder.

The loss, the settings and the choice of the best epoch are those of `training.supervised`; only the
first weights differ. A frozen encoder with a linear head is `training.probe`.

Source: 3D-Neuro-SimCLR (arXiv 2509.10620).
"""

from __future__ import annotations

from training.supervised import Supervised


class Finetune(Supervised):
    """The recipe; its encoder is a pretrained one, as `training.encoders.load_checkpoint` gives."""

    name = "finetune"
