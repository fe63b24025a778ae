"""Run all benchmarks, or those named: `python -m benchmarks [NAME …] [--save]`. Each runs in a process of its own."""

import subprocess
import sys
from pathlib import Path

SHARED = {"__init__", "__main__", "contenders", "fim_retrieval", "harness", "repositories"}


def main() -> int:
    """The number of benchmarks that failed; 2 where a name is not one."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in SHARED)
    wanted = [word for word in sys.argv[1:] if not word.startswith("-")] or names
    options = [word for word in sys.argv[1:] if word.startswith("-")]
    for name in wanted:
        if name not in names:
            print(f"there is no benchmark '{name}'; there are: {', '.join(names)}", file=sys.stderr)
            return 2
    failed = 0
    for name in wanted:
        print(f"== {name}", flush=True)
        failed += subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *options], check=False).returncode != 0
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
