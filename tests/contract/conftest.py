from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.core import Core


@dataclass
class AnyCore:
    make: Callable[[], Core]
    examples: int


@pytest.fixture
def any_core():
    return AnyCore(Core, 300)
