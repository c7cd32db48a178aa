"""A Ray cluster as a batch's workers; the ledger stays with the command, voxels stay on the nodes.

command (ledger) <-> driver process (`driver`, has Ray) <-> actors on the nodes (`actor`)
"""
