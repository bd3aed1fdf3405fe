"""How hard the property tests look: `--hypothesis-profile=quick`, the default, or `thorough`."""

from hypothesis import HealthCheck, settings

COMMON = {"deadline": None, "suppress_health_check": list(HealthCheck), "print_blob": True}

# The same examples each time, so that a change is judged by itself; `thorough` draws new ones and finds more.
settings.register_profile("quick", max_examples=10, derandomize=True, **COMMON)
settings.register_profile("normal", max_examples=50, derandomize=True, **COMMON)
settings.register_profile("thorough", max_examples=2000, **COMMON)
settings.load_profile("normal")
