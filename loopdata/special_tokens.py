"""The special tokens of every dataset, in the order of their ids: they take the first ids of the vocabulary.

They enter a sample only as segments marked special; the same characters inside a document are encoded as ordinary text.
The spellings are those that code models already use (Qwen2.5-Coder, StarCoder2), so that layouts and published
checkpoints agree. Limit: the list is part of a tokenizer's identity; tokens may be appended to it, never moved.
"""

END_OF_TEXT = "<|endoftext|>"
FIM_PREFIX = "<|fim_prefix|>"
FIM_SUFFIX = "<|fim_suffix|>"
FIM_MIDDLE = "<|fim_middle|>"
FIM_PAD = "<|fim_pad|>"
REPO_NAME = "<|repo_name|>"
FILE_SEP = "<|file_sep|>"
IM_START = "<|im_start|>"
IM_END = "<|im_end|>"
COMMIT_BEFORE = "<|commit_before|>"
COMMIT_MESSAGE = "<|commit_message|>"
COMMIT_AFTER = "<|commit_after|>"

# Room for layouts that are not known yet, without training a tokenizer anew.
RESERVED = tuple(f"<|reserved_{n}|>" for n in range(20))

SPECIAL_TOKENS: tuple[str, ...] = (
    END_OF_TEXT,
    FIM_PREFIX,
    FIM_SUFFIX,
    FIM_MIDDLE,
    FIM_PAD,
    REPO_NAME,
    FILE_SEP,
    IM_START,
    IM_END,
    COMMIT_BEFORE,
    COMMIT_MESSAGE,
    COMMIT_AFTER,
    *RESERVED,
)
