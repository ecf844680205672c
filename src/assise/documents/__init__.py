"""BSON: kinds, raw reader and writer, equality, Extended JSON. Pure."""
