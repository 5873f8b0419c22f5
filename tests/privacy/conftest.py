"""The stand-in for LinkedIn and the fixtures around it, as for capi's own tests."""

from tests.capi.conftest import connected, make_rule, sandbox

__all__ = ["connected", "make_rule", "sandbox"]
