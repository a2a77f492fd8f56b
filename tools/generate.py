"""Make the generated code anew: protobuf classes and their type stubs."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "proto/src/fleet_contracts/gen"
SOURCE = "fleet/v1/events.proto"


def main() -> None:
    """Run protoc with the runtime's own generators; fails loudly on any message."""
    OUT.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [
            sys.executable,
            "-m",
            "grpc_tools.protoc",
            f"-I{ROOT / 'proto'}",
            f"--python_out={OUT}",
            f"--pyi_out={OUT}",
            SOURCE,
        ],
        check=True,
        cwd=ROOT,
    )
    header = f"# Made from proto/{SOURCE} by tools/generate.py (`make generate`). Do not edit.\n"
    for path in sorted(OUT.rglob("events_pb2.py*")):
        text = path.read_text(encoding="utf-8")
        path.write_text(header + text, encoding="utf-8")
    print(f"generated {OUT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
