"""Chunks as tasks, and who works on them: this process, or worker processes."""
