import numpy as np
import pytest


@pytest.fixture
def normal():
    """A sampler of standard normal arrays."""
    return np.random.default_rng(0).standard_normal
