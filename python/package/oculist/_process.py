"""Which of several processes this one is, so that each draws other random numbers, and the same in every run."""

import multiprocessing
import os
import sys

# How often this process was forked, and, in a forked one, by which fork it came to be: the process object of
# `multiprocessing` at that time, and the numbers of the forks.
_forked = 0
_origin: tuple[object, tuple[int, ...]] = (None, ())

_TORCH, _CHILD, _FORK = 1, 2, 3


def _before_fork() -> None:
    global _forked
    _forked += 1


def _after_fork() -> None:
    global _forked, _origin
    process = multiprocessing.current_process()
    path = _origin[1] if _origin[0] is process else ()
    _origin = (process, (*path, _forked))
    _forked = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork)


def place() -> tuple[int, ...]:
    """Numbers that tell this process from its relatives; none in a program's first process.

    In a worker of PyTorch's ``DataLoader`` the seed that PyTorch gave it, which is another one for each worker and epoch;
    in a process of ``multiprocessing`` its number, whichever way it was started; behind ``os.fork`` the number of the fork.
    """
    loader = sys.modules.get("torch.utils.data")
    worker = loader.get_worker_info() if loader is not None else None
    if worker is not None:
        return (_TORCH, worker.seed % 2**64)
    process = multiprocessing.current_process()
    numbers: tuple[int, ...] = ()
    if multiprocessing.parent_process() is not None:
        numbers = (_CHILD, *process._identity)
    # A process of `multiprocessing` is known by its number, although it may have been forked as well.
    if _origin[0] is process and _origin[1]:
        numbers = (*numbers, _FORK, *_origin[1])
    return numbers
