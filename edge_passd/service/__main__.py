"""`scripts/install_service`."""

from __future__ import annotations

import grp
import os
import pwd
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import cv2
import numpy

import edge_passd
from edge_passd.cli.main import main
from edge_passd.errors import BadInput
from edge_passd.service.install import call, install, remove, require_ours
from edge_passd.service.request import Request, hidden, parse, require_name, to_unit
from edge_passd.service.unit import unit_text

ROOT = Path("/")
MANAGER = Path("/run/systemd/system")  # there while systemd runs, see sd_booted(3)
EXAMPLES = """
\b
Examples:
  sudo scripts/install_service -- animals.passd --camera 0 --serve 8080 --host 0.0.0.0
  sudo scripts/install_service --name yard --memory 1G -- animals.passd --source rtsp://cam/live
  scripts/install_service --dry-run -- animals.passd --camera 0      # shows the unit
  sudo scripts/install_service --name yard --remove
"""


@click.command(
    "scripts/install_service",
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--name", default="edge-passd", show_default=True, help="Of the service, its user.")
@click.option("--memory", metavar="SIZE", help="Restart it when it takes more, such as 1G or 50%.")
@click.option("--dry-run", is_flag=True, help="Print the unit; change nothing.")
@click.option("--remove", "remove_it", is_flag=True, help="Stop the service and take it off.")
@click.argument("run_arguments", nargs=-1, type=click.UNPROCESSED, metavar="-- [MODEL] [OPTIONS]")
def service(
    name: str, memory: str | None, dry_run: bool, remove_it: bool, run_arguments: tuple[str, ...]
) -> None:
    """Keep `edge-passd run MODEL OPTIONS` running as a service of systemd, from boot on.

    The model is copied to where the service can read it. Files that the service writes under
    relative names are in /var/lib/NAME, its secrets in /etc/edge-passd/NAME.env.
    """
    if remove_it:
        if run_arguments:
            raise click.UsageError("--remove takes nothing but --name")
        require_name(name)
        request = Request(name, None, None, ())
        _require_root()
        _require_systemd()
        require_ours(request, has_user=False, root=ROOT)
        remove(request, _has_user(name), ROOT, call)
        click.echo(f"{name} is gone; what it wrote stays in {request.state}")
        return
    if not run_arguments:
        raise click.UsageError("give what to run after --: -- animals.passd --camera 0")
    request = parse(name, memory, run_arguments)
    groups = [group.gr_name for group in grp.getgrall()]
    unit = to_unit(request, _systemd_version(), groups, Path("/dev"))
    if dry_run:
        click.echo(unit_text(unit), nl=False)
        return
    _require_root()
    _require_systemd()
    _require_visible()
    require_ours(request, _has_user(name), ROOT)
    install(request, unit, _has_user(name), ROOT, call)
    click.echo(f"{name} runs, now and after every boot; its log: journalctl --follow --unit {name}")
    click.echo(f"outputs: {request.state}, secrets: {request.environment}")


def _require_root() -> None:
    if os.geteuid() != 0:
        raise BadInput("a service is written by root; put sudo before it (--dry-run needs none)")


def _require_systemd() -> None:
    if not MANAGER.is_dir():
        raise BadInput("systemd does not run here; --dry-run prints the unit for another machine")


def _require_visible() -> None:
    """The service sees no home folders; what it consists of must be elsewhere."""
    parts = (sys.executable, sys.prefix, sys.base_prefix, edge_passd.__file__, numpy.__file__)
    path = hidden(map(Path, (*parts, cv2.__file__)))
    if path is not None:
        raise BadInput(
            f"a service cannot see {path}; install edge-passd outside of home folders, for "
            "example into /opt/edge-passd (docs/board.md)"
        )


def _has_user(name: str) -> bool:
    return name in {user.pw_name for user in pwd.getpwall()}


def _systemd_version() -> int:
    """0 where there is none."""
    systemctl = shutil.which("systemctl")
    if systemctl is None:
        return 0
    said = subprocess.run([systemctl, "--version"], capture_output=True, text=True).stdout
    match = re.match(r"systemd (\d+)", said)
    return int(match[1]) if match else 0


if __name__ == "__main__":
    main(command=service)
