# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Timers of systemd with which a host maintains its registry by itself. The logic of the module registry_timers."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.stronghold.registry.plugins.module_utils import _host_program
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._files import (
    Attributes,
    explain_attributes,
    read_file,
    remove_file,
    write_file,
)
from ansible_collections.stronghold.registry.plugins.module_utils._read_only import Registry

PROGRAM = "/usr/local/lib/stronghold/registry.pyz"
SETTINGS = "/etc/stronghold/{name}.json"
UNITS = "/etc/systemd/system"

_JOBS = {
    "garbage_collect": "Collect the garbage of the registry {name}",
    "backup": "Back up the registry {name}",
    "renew": "Renew the certificates of the registry {name}",
}
_READ_ONLY = ("garbage_collect", "backup")
"""Those during which the registry is read-only."""

_PACKAGE = "ansible_collections.stronghold.registry.plugins.module_utils"
_IMPORTED = re.compile(rf"^\s*from {re.escape(_PACKAGE)}(?:\.(\w+))? import (\([^)]*\)|.*)$", re.MULTILINE)
_EPOCH = (1980, 1, 1, 0, 0, 0)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class File:
    """A file as it shall be; *shown* is whether its content may be seen."""

    path: str
    content: bytes
    mode: int = 0o644
    what: str = "unit"


def run(params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """The module registry_timers: read, explain, write, tell systemd. Returns what the module does.

    :raises RegistryError: no systemd, a schedule that it does not take, or a file that cannot be written.
    """
    name = params["container"]
    if not _NAME.fullmatch(name):
        raise RegistryError(f"container: '{name}' is no name of a container.")
    schedules = {job: params[f"{job}_schedule"] for job in _JOBS} if params["state"] == "present" else {}
    wanted = {job: schedule for job, schedule in schedules.items() if schedule}
    if wanted:
        _check_systemd()
        _check_schedules(wanted)
    if "backup" in wanted and not os.path.isdir(params["backup_directory"]):
        raise RegistryError(f"backup_directory: {params['backup_directory']} is not there; mount or make it.")
    files = list(_files(name, params, wanted)) if wanted else []
    reasons = [reason for file in files for reason in _explain(file)]
    superfluous = _superfluous(name, {file.path for file in files})
    reasons += [f"{path}: is there, wanted absent" for path in superfluous]
    disabled = [unit for unit in _enabled_units(name, wanted) if not _is_enabled(unit)]
    reasons += [f"{unit}: is not enabled" for unit in disabled]
    if reasons and not check_mode:
        _apply(name, files, superfluous, wanted)
    return {"changed": bool(reasons), "reasons": reasons, "timers": [_unit(name, job, "timer") for job in wanted]}


def _check_systemd() -> None:
    if not os.path.isdir("/run/systemd/system"):
        raise RegistryError(
            "state: this host has no systemd, whose timers would start these jobs. Leave the schedules empty, and run "
            "the playbooks from elsewhere as often."
        )


def _check_schedules(schedules: Mapping[str, str]) -> None:
    for job, schedule in schedules.items():
        done = subprocess.run(
            ["systemd-analyze", "calendar", "--", schedule], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RegistryError(
                f"{job}_schedule: '{schedule}' is no calendar event of systemd; write such as 'Sun 03:00' or 'daily' "
                "(systemd.time(7))."
            )


def _files(name: str, params: Mapping[str, Any], wanted: Mapping[str, str]) -> Iterator[File]:
    path = SETTINGS.format(name=name)
    settings = _settings(params, wanted)
    yield File(PROGRAM, program(), what="program")
    text = json.dumps(settings, indent=1, sort_keys=True) + "\n"
    yield File(path, text.encode("utf-8"), 0o600, "settings")
    for job, schedule in wanted.items():
        yield File(_path(_unit(name, job, "service")), _service(name, job, path).encode("utf-8"))
        yield File(_path(_unit(name, job, "timer")), _timer(name, job, schedule).encode("utf-8"))
    yield File(
        _path(_unit(name, "recover", "service")),
        _recovery(name, path, Registry(name, params["directory"])).encode("utf-8"),
    )


def _settings(params: Mapping[str, Any], wanted: Mapping[str, str]) -> dict[str, Any]:
    """What the program has to know, with the parameters of the modules whose work it does."""
    registry = {"container": params["container"], "directory": params["directory"]}
    jobs = {
        "garbage_collect": {**registry, "delete_untagged": params["delete_untagged"]},
        "backup": {
            **registry,
            "backup_directory": params["backup_directory"],
            "passphrase": params["passphrase"],
            "keep": params["keep"],
        },
        "renew": params["certificate"],
    }
    return {**registry, **{job: jobs[job] for job in wanted}}


def _unit(name: str, job: str, kind: str) -> str:
    return f"stronghold-{name}-{job.replace('_', '-')}.{kind}"


def _path(unit: str) -> str:
    return os.path.join(UNITS, unit)


def _command(job: str, settings: str) -> str:
    return f"{_python()} {PROGRAM} {job} {settings}"


def _python() -> str:
    """The Python that runs this, by the name that it also has after the distribution's next one."""
    usual = "/usr/bin/python3"
    return usual if os.path.exists(usual) and os.path.samefile(usual, sys.executable) else sys.executable


def _service(name: str, job: str, settings: str) -> str:
    # Runs after the job however that ended, killed too.
    recovery = f"ExecStopPost={_command('recover', settings)}\n" if job in _READ_ONLY else ""
    return (
        f"[Unit]\nDescription={_JOBS[job].format(name=name)}\nAfter=docker.service\nRequires=docker.service\n\n"
        f"[Service]\nType=oneshot\nExecStart={_command(job, settings)}\n{recovery}"
    )


def _timer(name: str, job: str, schedule: str) -> str:
    return (
        f"[Unit]\nDescription={_JOBS[job].format(name=name)}\n\n"
        f"[Timer]\nOnCalendar={schedule}\nPersistent=true\nRandomizedDelaySec=15min\n\n"
        "[Install]\nWantedBy=timers.target\n"
    )


def _recovery(name: str, settings: str, registry: Registry) -> str:
    return (
        f"[Unit]\nDescription=Let the registry {name} be pushed to again after an interrupted job\n"
        f"After=docker.service\nRequires=docker.service\nConditionPathExists={registry.writable_path}\n\n"
        f"[Service]\nType=oneshot\nExecStart={_command('recover', settings)}\n\n"
        "[Install]\nWantedBy=multi-user.target\n"
    )


def program() -> bytes:
    """The host's program as a zip file that Python runs: always the same bytes for the same sources."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, source in sorted(_sources().items()):
            archive.writestr(zipfile.ZipInfo(path, _EPOCH), source, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _sources() -> dict[str, str]:
    """All sources that the program needs, by their paths in the zip file."""
    packages = _PACKAGE.split(".")
    sources = {"/".join([*packages[: depth + 1], "__init__.py"]): "" for depth in range(len(packages))}
    main = f"import sys\n\nfrom {_PACKAGE}._host_program import main\n\nsys.exit(main())\n"
    sources["__main__.py"] = main
    pending = [_host_program.__name__.rpartition(".")[2]]
    while pending:
        module = pending.pop()
        path = "/".join([*packages, f"{module}.py"])
        if path not in sources:
            sources[path] = _source(module)
            pending += imported(sources[path])
    return sources


def _source(module: str) -> str:
    spec = importlib.util.find_spec(f"{_PACKAGE}.{module}")
    loader: Any = spec.loader if spec else None
    source = loader.get_source(f"{_PACKAGE}.{module}") if loader else None
    if not isinstance(source, str):
        raise RegistryError(f"The collection's {module} has no source; install the collection again.")
    return source


def imported(source: str) -> list[str]:
    """The modules of the collection that a source imports."""
    found = []
    for module, names in _IMPORTED.findall(source):
        found += [module] if module else re.findall(r"\w+", names)
    return found


def _explain(file: File) -> list[str]:
    present = read_file(file.path)
    if present is None:
        return [f"{file.path}: is not there"]
    if present != file.content:
        return [f"{file.path}: is another {file.what}"]
    return explain_attributes(file.path, Attributes(0, 0, file.mode))


def _superfluous(name: str, wanted: set[str]) -> list[str]:
    jobs = [*_JOBS, "recover"]
    units = [_path(_unit(name, job, kind)) for job in jobs for kind in ("service", "timer")]
    return [path for path in [*units, SETTINGS.format(name=name)] if os.path.lexists(path) and path not in wanted]


def _enabled_units(name: str, wanted: Mapping[str, str]) -> list[str]:
    if not wanted:
        return []
    return [*(_unit(name, job, "timer") for job in wanted), _unit(name, "recover", "service")]


def _is_enabled(unit: str) -> bool:
    kind = "multi-user" if unit.endswith(".service") else "timers"
    return os.path.lexists(os.path.join(UNITS, f"{kind}.target.wants", unit))


def _apply(name: str, files: list[File], superfluous: list[str], wanted: Mapping[str, str]) -> None:
    going = [os.path.basename(path) for path in superfluous if path.endswith((".timer", ".service"))]
    if going:
        _systemctl("disable", "--now", *going)
    for path in superfluous:
        remove_file(path)
    for file in files:
        if _explain(file):
            write_file(file.path, file.content, Attributes(0, 0, file.mode))
    _systemctl("daemon-reload")
    if wanted:
        _systemctl("enable", *_enabled_units(name, wanted))
        # Restarted, since one that runs keeps to its former schedule.
        _systemctl("restart", *(_unit(name, job, "timer") for job in wanted))


def _systemctl(*arguments: str) -> None:
    done = subprocess.run(["systemctl", "--quiet", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RegistryError(f"systemctl {' '.join(arguments)} failed: {done.stderr.strip() or 'without a word'}.")
