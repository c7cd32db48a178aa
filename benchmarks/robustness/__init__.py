"""The same head seen otherwise: how far each output of a bundle moves.

python -m benchmarks.robustness [--bundle B] [--data DIR] [--sets raw,ixi2mm] [--out FOLDER]
"""
