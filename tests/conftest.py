"""How hard the property tests look: `--hypothesis-profile=quick`, the default, or `thorough`."""

from hypothesis import HealthCheck, settings

COMMON = {"deadline": None, "suppress_health_check": list(HealthCheck), "print_blob": True}

settings.register_profile("quick", max_examples=10, **COMMON)
settings.register_profile("normal", max_examples=50, **COMMON)
settings.register_profile("thorough", max_examples=2000, **COMMON)
settings.load_profile("normal")
