"""Revisions: how a changed manifest reaches a database that is in use."""
