"""The zones of these tests, as files: `make("rich", folder)` -> Zone(origin, path, names)."""

from dataclasses import dataclass
from pathlib import Path

from tests.dns.rich import rich_zone
from tools.zone.bench import bench_zone
from tools.zone.parse import parse_zone

TEXTS = {"bench": bench_zone, "rich": rich_zone}


@dataclass
class Zone:
    origin: str
    path: Path
    names: list


def make(name, folder):
    path = Path(folder) / f"{name}.zone"
    path.write_text(TEXTS[name](), encoding="utf-8")
    zone = parse_zone(path)
    return Zone(zone.origin.to_text(), path, list(zone.names))
