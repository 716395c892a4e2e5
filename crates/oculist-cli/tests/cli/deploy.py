"""The guide's Python, run as it stands there.

usage: deploy.py make FOLDER
       deploy.py run CODE MODEL PHOTO...
       deploy.py threshold CODE MODEL PHOTO...

`make` writes pictures of odd sizes and kinds. `run` executes the file CODE with the names of the model and of each photo in the
place of those in it, and prints for each what it found. `threshold` prints the logarithms of the sums by SciPy over all photos,
and NumPy's quantile of them.
"""

import contextlib
import io
import json
import sys
from pathlib import Path

import numpy as np


def make(folder: Path) -> None:
    from PIL import Image

    rng = np.random.default_rng(5)

    def picture(width: int, height: int, channels: int) -> np.ndarray:
        coarse = rng.integers(0, 256, (6, 5, channels), np.uint8)
        planes = [np.asarray(Image.fromarray(coarse[..., c]).resize((width, height))) for c in range(channels)]
        noise = rng.integers(-25, 26, (height, width, channels))
        return np.clip(np.stack(planes, -1) + noise, 0, 255).astype(np.uint8)

    Image.fromarray(picture(61, 37, 3)).save(folder / "wide.png")
    Image.fromarray(picture(23, 91, 3)).save(folder / "tall.png")
    Image.fromarray(picture(201, 154, 3)).save(folder / "large.png")
    Image.fromarray(picture(9, 14, 3)).save(folder / "tiny.png")
    Image.fromarray(picture(45, 52, 4)).save(folder / "alpha.png")
    Image.fromarray(picture(33, 70, 1)[..., 0]).save(folder / "grey.png")
    Image.fromarray(picture(50, 44, 2)).save(folder / "grey-alpha.png")
    Image.fromarray(picture(58, 41, 3)).quantize(32).save(folder / "palette.png")
    for orientation in (3, 6, 7):
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(picture(75, 48, 3)).save(folder / f"turned-{orientation}.jpg", exif=exif, quality=95)


def found(code: str, model: str, photo: str) -> dict:
    code = code.replace('"model.onnx"', json.dumps(model)).replace('"photo.jpg"', json.dumps(photo))
    names: dict = {}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, names)  # noqa: S102
    return {
        "printed": printed.getvalue(),
        "classes": json.loads(names["meta"]["oculist.classes"]),
        "logits": names["logits"].tolist(),
        "probabilities": names["probabilities"].tolist(),
        "energy": float(names["energy"]),
    }


def main() -> None:
    mode = sys.argv[1]
    if mode == "make":
        make(Path(sys.argv[2]))
        return
    file, model, *photos = sys.argv[2:]
    code = Path(file).read_text(encoding="utf-8")
    results = [found(code, model, photo) for photo in photos]
    if mode == "threshold":
        from scipy.special import logsumexp

        scores = logsumexp(np.array([r["logits"] for r in results], np.float64), axis=1)
        results = {"quantile": float(np.quantile(scores, 0.05, method="lower")), "scores": sorted(scores.tolist())}
    print(json.dumps(results))


main()
