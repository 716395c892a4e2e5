"""Values that Python and Rust both compute, so that golden files need not hold weights or inputs.

README.md beside this file gives the formula; `oculist_testing::formula` is the Rust side.
"""

import numpy as np

GOLDEN_GAMMA = np.uint64(0x9E3779B97F4A7C15)


def fnv1a64(name: str) -> int:
    """FNV-1a, 64 bits, of the name's UTF-8 bytes."""
    state = 0xCBF29CE484222325
    for byte in name.encode("utf-8"):
        state = ((state ^ byte) * 0x100000001B3) % (1 << 64)
    return state


def tensor(name: str, shape) -> np.ndarray:
    """Values in [-1, 1), each a multiple of 2^-23, for the tensor called `name`."""
    count = int(np.prod(shape, dtype=np.int64))
    index = np.arange(1, count + 1, dtype=np.uint64)
    z = np.uint64(fnv1a64(name)) + index * GOLDEN_GAMMA
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    top = (z >> np.uint64(40)).astype(np.float64)
    return (top / 2.0**24 * 2.0 - 1.0).astype(np.float32).reshape(shape)


def parameter(name: str, shape, gamma: float = 1.0) -> np.ndarray:
    """The value of a state-dict entry; its role follows from the last part of its name and its rank."""
    u = tensor(name, shape)
    role = name.rsplit(".", 1)[-1]
    tenth, fifth, half, one = (np.float32(v) for v in (0.1, 0.2, 0.5, 1.0))
    if role == "weight" and len(shape) >= 2:
        fan_in = int(np.prod(shape[1:], dtype=np.int64))
        return u * np.float32(np.sqrt(6.0 / fan_in))
    if role in ("cls_token", "pos_embed"):
        return u
    if role in ("weight", "layer_scale", "gamma"):
        return np.float32(gamma) * (one + fifth * u)
    if role in ("bias", "running_mean"):
        return tenth * u
    if role == "running_var":
        return one + half * u
    raise ValueError(f"no formula for a state-dict entry called {name}")


def load_into(module, gamma: float = 1.0) -> None:
    """Fills a PyTorch module with formula values (`num_batches_tracked` stays 0)."""
    import torch

    state = module.state_dict()
    for name, value in state.items():
        if not name.endswith("num_batches_tracked"):
            values = torch.from_numpy(parameter(name, tuple(value.shape), gamma))
            state[name] = values.to(value.dtype)
    module.load_state_dict(state)
