"""Copies the photos of the package elpv-dataset into two class folders. Run by `cargo xtask elpv FOLDER`."""

import csv
import pathlib
import shutil
import sys

import elpv_dataset

THRESHOLD = 0.5


def main() -> None:
    target = pathlib.Path(sys.argv[1])
    data = pathlib.Path(elpv_dataset.__file__).parent / "data"
    counts = {"functional": 0, "defective": 0}
    for name in counts:
        folder = target / name
        if folder.exists() and any(folder.iterdir()):
            sys.exit(f"{folder} is not empty; choose another folder")
        folder.mkdir(parents=True, exist_ok=True)
    with open(data / "labels.csv", newline="") as file:
        for row in csv.reader(file, delimiter=" ", skipinitialspace=True):
            # `images/cell0001.png  1.0  mono`: path, probability of a defect, kind of cell.
            path, probability = row[0], float(row[1])
            name = "defective" if probability >= THRESHOLD else "functional"
            shutil.copyfile(data / path, target / name / pathlib.Path(path).name)
            counts[name] += 1
    print(f"{target}: {counts['functional']} functional and {counts['defective']} defective cells")


main()
