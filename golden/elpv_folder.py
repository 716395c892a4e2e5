"""Copies the photos of the package elpv-dataset into two class folders. Run by `cargo xtask elpv FOLDER [SEED]`.

With a seed, a quarter of each class is drawn for FOLDER/test, and the rest goes to FOLDER/train.
"""

import csv
import pathlib
import random
import shutil
import sys

import elpv_dataset

THRESHOLD = 0.5
TEST = 0.25


def main() -> None:
    target, seed = pathlib.Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None
    data = pathlib.Path(elpv_dataset.__file__).parent / "data"
    cells = {"functional": [], "defective": []}
    if target.exists() and any(target.iterdir()):
        sys.exit(f"{target} is not empty; choose another folder")
    with open(data / "labels.csv", newline="") as file:
        for row in csv.reader(file, delimiter=" ", skipinitialspace=True):
            # `images/cell0001.png  1.0  mono`: path, probability of a defect, kind of cell.
            path, probability = row[0], float(row[1])
            cells["defective" if probability >= THRESHOLD else "functional"].append(data / path)
    for name, paths in cells.items():
        parts = {target / name: paths}
        if seed is not None:
            random.Random(int(seed)).shuffle(paths)
            test = round(TEST * len(paths))
            parts = {target / "test" / name: paths[:test], target / "train" / name: paths[test:]}
        for folder, part in parts.items():
            folder.mkdir(parents=True)
            for path in part:
                shutil.copyfile(path, folder / path.name)
    print(f"{target}: {len(cells['functional'])} functional and {len(cells['defective'])} defective cells")


main()
