"""The crate's generator in NumPy: SplitMix64 from a key of numbers."""

import numpy as np

GOLDEN = 0x9E3779B97F4A7C15
MASK = (1 << 64) - 1


def mix(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


class Rng:
    def __init__(self, *key):
        self.state = mix(GOLDEN ^ len(key))
        for part in key:
            self.state = mix(((self.state + GOLDEN) & MASK) ^ mix((part + GOLDEN) & MASK))

    def next(self, count):
        """The next numbers as little-endian uint64."""
        numbers = []
        for _ in range(count):
            self.state = (self.state + GOLDEN) & MASK
            numbers.append(mix(self.state))
        return np.array(numbers, dtype="<u8")

    def uniform(self, count):
        """In [0, 1), on a grid of 2^-24."""
        return (self.next(count) >> np.uint64(40)).astype(np.float64) / (1 << 24)
