"""Decodes every *.jpg of the folder given with Pillow (libjpeg-turbo), whole and at 1/2, 1/4 and 1/8 of its size.

Writes pixels beside the files and prints a JSON list of {file, pixels, width, height, channels, reduction}; a file
that Pillow refuses gives {file, error}.
"""

import json
import pathlib
import sys

import numpy as np
from PIL import Image

folder = pathlib.Path(sys.argv[1])
cases = []
for path in sorted(folder.glob("*.jpg")):
    for reduction in (1, 2, 4, 8):
        try:
            image = Image.open(path)
            size = tuple(-(-side // reduction) for side in image.size)
            if reduction > 1:
                # The size asked for is a lower bound, so that this one is the one that fits.
                image.draft(None, tuple(max(1, side // reduction) for side in image.size))
                if image.size != size:
                    continue
            if image.mode == "CMYK":
                image = image.convert("RGB")
            pixels = np.asarray(image)
        except (OSError, SyntaxError) as error:
            cases.append(dict(file=path.name, error=str(error)))
            break
        name = f"{path.stem}-{reduction}.raw"
        (folder / name).write_bytes(pixels.tobytes())
        cases.append(
            dict(
                file=path.name,
                pixels=name,
                width=image.width,
                height=image.height,
                channels=1 if pixels.ndim == 2 else 3,
                reduction=reduction,
            )
        )
print(json.dumps(cases))
