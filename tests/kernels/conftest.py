"""Without a GPU the Triton kernels run in the interpreter; that is decided when Triton is first imported."""

import os

import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
