"""Many scans: read and prepared in worker processes, answered in this one, recorded in a ledger."""
