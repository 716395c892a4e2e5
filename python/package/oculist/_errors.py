"""The exceptions of the package. Their texts are those of the library: what was expected, and what was found."""


class OculistError(Exception):
    """What stopped the work. The other exceptions of the package are subclasses."""


class DataError(OculistError, ValueError):
    """An image, mask, box, label or data set that cannot be used; also a ``ValueError``."""


class ModelError(OculistError):
    """A model file that cannot be read or does not fit its use, or a network that cannot be run."""


class SettingError(OculistError, ValueError):
    """An argument or a pipeline that is out of its range; also a ``ValueError``."""


class OutOfMemoryError(OculistError, MemoryError):
    """An image for which there is no memory, or of a size that can only be a mistake; also a ``MemoryError``."""


class DifferenceWarning(UserWarning):
    """What was made of another library's pipeline differs from it in what the text says."""
