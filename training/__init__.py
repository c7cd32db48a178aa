"""From a labelled cohort to encoders and heads.

    >>> import torch, training
    >>> encoder = training.build("resnet18", width=0.0625).eval()
    >>> views = torch.rand(4, 1, 32, 32, 32)
    >>> training.features(encoder, views).shape
    torch.Size([4, 32, 2, 2, 2])
    >>> with torch.inference_mode():
    ...     first, second = encoder(views[:2]), encoder(views[2:])
    >>> training.nt_xent(first, second).ndim
    0

A recipe (`SimCLR`, `MAE`, `Supervised`, `Finetune`) brings a network and its loss, `cohort` reads
the labels, and `probe.fit` a head on the frozen encoder's embeddings.
"""

from typing import TYPE_CHECKING

from fmtool.lazily import lazily

if TYPE_CHECKING:
    from training import cohort as cohort
    from training import probe as probe
    from training.augment import SimCLRAugment as SimCLRAugment
    from training.encoders import build as build
    from training.encoders import features as features
    from training.encoders import load_checkpoint as load_checkpoint
    from training.encoders import save_encoder as save_encoder
    from training.evidence.head import Head as Head
    from training.mae import MAE as MAE
    from training.simclr import SimCLR as SimCLR
    from training.simclr import nt_xent as nt_xent
    from training.supervised import Finetune as Finetune
    from training.supervised import Supervised as Supervised
else:
    __all__, __getattr__, __dir__ = lazily(
        __name__,
        "training.cohort",
        "training.probe",
        "training.augment:SimCLRAugment",
        "training.encoders:build",
        "training.encoders:features",
        "training.encoders:load_checkpoint",
        "training.encoders:save_encoder",
        "training.evidence.head:Head",
        "training.mae:MAE",
        "training.simclr:SimCLR",
        "training.simclr:nt_xent",
        "training.supervised:Finetune",
        "training.supervised:Supervised",
    )
