"""Make the generated files anew: protobuf classes, reference pages, the resource definition."""

import argparse
import subprocess
import sys
from pathlib import Path

import chart_figures
import chart_values
import crd_file
import metrics_docs
import rbac_file
import routerfleet_docs
import settings_docs

ROOT = Path(__file__).resolve().parent.parent
PROTOBUF_OUT = ROOT / "proto/src/fleet_contracts/gen"
SOURCE = "fleet/v1/events.proto"


def main() -> None:
    """Make everything, or with `--protobuf-to` only the protobuf code in another folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--protobuf-to", type=Path, help="only the protobuf code, into this folder")
    arguments = parser.parse_args()
    if arguments.protobuf_to is not None:
        generate_protobuf(arguments.protobuf_to)
        return
    generate_protobuf(PROTOBUF_OUT)
    settings_docs.write()
    metrics_docs.write()
    crd_file.write()
    routerfleet_docs.write()
    rbac_file.write()
    chart_figures.write()
    chart_values.write()


def generate_protobuf(out: Path) -> None:
    """Run protoc with the runtime's own generators; fails loudly on any message."""
    out.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [
            sys.executable,
            "-m",
            "grpc_tools.protoc",
            f"-I{ROOT / 'proto'}",
            f"--python_out={out}",
            f"--pyi_out={out}",
            SOURCE,
        ],
        check=True,
        cwd=ROOT,
    )
    header = f"# Made from proto/{SOURCE} by tools/generate.py (`make generate`). Do not edit.\n"
    for path in sorted(out.rglob("events_pb2.py*")):
        text = path.read_text(encoding="utf-8")
        path.write_text(header + text, encoding="utf-8")
    print(f"generated {out}")


if __name__ == "__main__":
    main()
