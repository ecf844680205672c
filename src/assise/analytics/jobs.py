"""What the worker does for analytics."""

from __future__ import annotations

from collections.abc import Sequence

from assise.analytics.forward import job as forward_job
from assise.analytics.revenue import job as revenue_job
from assise.workspace import Job, LoadedTables


def list_jobs(tables: LoadedTables) -> Sequence[Job]:
    """The jobs of a manifest's analytics."""
    return [*forward_job.list_jobs(tables), *revenue_job.list_jobs(tables)]
