"""The main job: load, verify, the ledger, the report."""
