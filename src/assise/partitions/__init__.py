"""Partitions: tables that grow for years, cut by time."""
