"""The errors that loopdata raises on purpose. Standard library only, so that `model` and `kernels` can use it.

    LoopdataError              anything below; exit code 1
    ├── ConfigError            the request is wrong: unknown key, missing path, columns nobody provides; exit code 2
    ├── SourceError            an input cannot be read, or changed while it was read
    ├── ShardError             a shard, packing index, tokenizer or checkpoint is broken or belongs to something else
    ├── StageError             a stage broke its contract, or too many documents failed in it
    └── RunError               the run cannot start or go on: locked folder, failed unit, storage that refuses a write

A message names the thing, the value, the place and the remedy in one line; the command line prints it as it is.
Limit: an exception of another kind that reaches the command line is a fault of ours, and is shown as such.
"""


class LoopdataError(Exception):
    """Base of the tree. `remedy` is what the user can do about it; it is printed after the message."""

    exit_code = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}; {self.remedy}" if self.remedy else self.message


class ConfigError(LoopdataError):
    """The request is wrong; nothing was started."""

    exit_code = 2


class SourceError(LoopdataError):
    """An input cannot be read, or changed while it was read."""


class ShardError(LoopdataError):
    """A shard, packing index, tokenizer or checkpoint is broken or belongs to something else."""


class StageError(LoopdataError):
    """A stage broke its contract, or too many documents failed in it."""


class RunError(LoopdataError):
    """The run cannot start or go on."""
