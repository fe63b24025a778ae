"""Builds the kernels for Hopper (sm_90) on a machine that need have no GPU, and writes what they take, as JSON lines.

`python -m tests.kernels.hopper`, without TRITON_INTERPRET: a process of its own, since the interpreter is chosen once.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from kernels import triton_kernels
from kernels.fused import tiles_for

POINTERS = {torch.bfloat16: "*bf16", torch.float16: "*fp16", torch.float32: "*fp32"}
MODES = {
    "forward": ({"GLOBAL": True, "LOCAL": True}, {"GLOBAL": False, "LOCAL": True}, {"GLOBAL": True, "LOCAL": False}),
    "backward_keys": ({"LOCAL": False}, {"LOCAL": True}),
}


def build(name: str, dtype: torch.dtype, d: int, gate: int, modes: dict[str, bool]) -> dict[str, Any]:
    kernel: Any = getattr(triton_kernels, name)
    padded = max(16, triton.next_power_of_2(d))
    tile = tiles_for(kernel, dtype, padded)[0]
    gate = gate if modes.get("GLOBAL") is None or modes["LOCAL"] else 0
    constants: dict[str, Any] = {
        **modes, **tile.blocks, "GATE": gate, "NEAREST": 1, "FARTHEST": 64, "H": 16, "G": 4, "D": d, "P": padded,
        "PRECISION": "ieee",
    }  # fmt: skip
    types = {n: _type(n, dtype) for n in kernel.arg_names if n not in constants}
    aligned = {
        (i,): [["tt.divisibility", 16]] for i, n in enumerate(kernel.arg_names) if n.endswith("_ptr") or n in ("T", "S")
    }
    source = ASTSource(
        kernel,
        {n: types.get(n, "constexpr") for n in kernel.arg_names},
        {(kernel.arg_names.index(n),): value for n, value in constants.items()},
        aligned,
    )
    compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=tile.options)
    taken = {"shared": compiled.metadata.shared, "spilled": _stack_bytes(compiled.asm["cubin"])}
    return {"kernel": name, "dtype": str(dtype), "d": d, "gate": gate, **modes, **taken}


def _type(name: str, dtype: torch.dtype) -> str:
    if name.startswith(("begins", "ends")):
        return "*i32"
    if name.startswith(("lse", "rho")):
        return "*fp32"
    if name.endswith("_ptr"):
        return POINTERS[dtype]
    return "fp32" if name == "scale" else "i32"


def _stack_bytes(cubin: bytes) -> int:
    tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        said = subprocess.run([tool, "-res-usage", file.name], capture_output=True, text=True, check=True).stdout
    return int(said.split("STACK:")[1].split()[0])


def main(wanted: list[str]) -> None:
    for word in wanted:
        name, dtype, d, gate = word.split("/")
        for modes in MODES.get(name, MODES["forward"]):
            found = build(name, getattr(torch, dtype), int(d), int(gate), modes)
            sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
