"""The ways to run a network in torch: what users do first, and what is fastest."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Variant:
    """A way to run the encoder.

    Attributes:
        bfloat16: under autocast to bfloat16.
        channels_last: weights and volume in `torch.channels_last_3d`.
        folded: BatchNorm folded into the convolutions, as every exported graph has it.
        compiled: by `torch.compile`.
    """

    bfloat16: bool = False
    channels_last: bool = False
    folded: bool = False
    compiled: bool = False

    @property
    def precision(self) -> str:
        """What its convolutions compute in."""
        return "bfloat16" if self.bfloat16 else "float32"


VARIANTS = {
    "eager": Variant(),
    "channels_last": Variant(channels_last=True),
    "autocast": Variant(bfloat16=True),
    "autocast_channels_last": Variant(bfloat16=True, channels_last=True),
    "autocast_folded": Variant(bfloat16=True, channels_last=True, folded=True),
    "compile": Variant(bfloat16=True, channels_last=True, compiled=True),
}
"""By name, from the plainest on; all in inference mode. float32 on CUDA is without TF32."""
