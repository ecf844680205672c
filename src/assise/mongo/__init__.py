"""Sources: what MongoDB's tools have written."""
