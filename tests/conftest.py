"""Hypothesis profiles, and one embedded PostgreSQL for each process of pytest."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
settings.register_profile("test", max_examples=200, deadline=None, derandomize=True, suppress_health_check=SLOW)
settings.register_profile("soak", max_examples=5_000, deadline=None, suppress_health_check=SLOW)
settings.load_profile(os.environ.get("ASSISE_TEST_PROFILE", "test"))
