"""Our own cases from Python, one core: what the calls cost beside what is computed. The package is on the path."""

import cv2
import oculist

cv2.setNumThreads(0)
version = f"oculist {oculist.__version__} from Python"

STATISTICS = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def enter(image):
    return image


def settle(output):
    """Results are contiguous already."""
    return output


def leave(output):
    """As HWC."""
    return output if output.ndim == 3 else output[..., None]


def decode(bytes):
    return cv2.imdecode(bytes, cv2.IMREAD_COLOR_RGB)


def case(description):
    """Images, what is timed, and whether it can be compared: cases that draw are not."""
    pipeline, is_file = description["pipeline"], description["source"] == "jpeg"
    how = {"normalize": STATISTICS} if description["normalize"] else {}

    def make():
        aug = oculist.Augment(pipeline, 1, **how)
        return (lambda image: aug(decode(image))) if is_file else aug

    return description["source"], make, True if description["fixed"] else None


def read_table(cases):
    return {name: case(description) for name, description in cases.items()}

