# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives of images as ``docker save`` writes them: a tar with a manifest.json (moby, image/spec/spec.md)."""

from __future__ import annotations

import json
import tarfile
from typing import Optional


def tags(path: str) -> list[str]:
    """The names of the images in an archive, as ``repository:tag``.

    :raises ValueError: the file is no such archive; the message says why.
    """
    try:
        with tarfile.open(path) as archive:
            stream = archive.extractfile("manifest.json")
            images = json.load(stream) if stream is not None else None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error
    except tarfile.TarError as error:
        raise ValueError(f"{path} is no tar archive") from error
    except (KeyError, ValueError) as error:
        raise ValueError(f"{path} is a tar archive, but holds no image") from error
    try:
        return [tag for image in images or [] for tag in image["RepoTags"] or []]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is a tar archive, but holds no image") from error


def architecture(path: str, image: str) -> str:
    """For which processors an image in an archive is, by Go's name; empty where it does not say."""
    with tarfile.open(path) as archive:
        stream = archive.extractfile("manifest.json")
        for entry in json.load(stream) if stream is not None else []:
            if _familiar(image) in map(_familiar, entry["RepoTags"] or []):
                config = archive.extractfile(entry["Config"])
                return str(json.load(config).get("architecture", "")) if config is not None else ""
    return ""


def problem(path: str, image: str, host: str = "") -> Optional[str]:
    """Why an image can't be loaded from an archive, as a sentence; None where it can.

    *host* is the architecture of where it shall run, where that is known.
    """
    if not path:
        return "no file is given; name one that 'docker save' made on this controller."
    try:
        found = tags(path)
    except ValueError as error:
        return f"{error}; make one with 'docker save --output FILE {image}'."
    if _familiar(image) not in map(_familiar, found):
        held = ", ".join(found) if found else "an image without a name"
        return f"{path} holds {held}, not {image}; name the image that it holds, or save the wanted one."
    return _wrong_architecture(path, image, host) if host else None


def _wrong_architecture(path: str, image: str, host: str) -> Optional[str]:
    try:
        built = architecture(path, image)
    except (OSError, tarfile.TarError, LookupError, ValueError, TypeError, AttributeError):
        return f"{path} is damaged: it does not say for which processors {image} is; make it anew."
    if built and built != host:
        return f"{path} holds {image} for {built}, and the host is {host}; make an archive for {host}."
    return None


def _familiar(name: str) -> str:
    """An image's name without what engines add to it by themselves."""
    for prefix in ("docker.io/library/", "index.docker.io/library/", "docker.io/", "library/"):
        name = name.removeprefix(prefix)
    return name if ":" in name.rsplit("/", 1)[-1] else f"{name}:latest"
