"""One thread per worker: two workers share two cores, and threads that wait for each other cost more than they bring."""

import os

from hypothesis import HealthCheck, settings

os.environ.setdefault("OMP_NUM_THREADS", "1")

# A busy machine draws examples slowly; that says nothing about the code.
settings.register_profile("turnwise", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("turnwise")
