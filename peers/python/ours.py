"""What Oculist's other Python has and the peers need: the formula of weights and images, without PyTorch."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "golden"))
import formula  # noqa: E402, F401
