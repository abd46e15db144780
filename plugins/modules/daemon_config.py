# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module daemon_config: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: daemon_config
short_description: Set or remove some keys of a Docker engine's daemon.json
version_added: 1.0.0
author:
  - the stronghold.registry authors (@stronghold)
description:
  - Sets the given keys, or takes them away, and leaves all others as they are, in their order.
  - Compares values, so the formatting of the file is never a reason to write it.
  - Refuses what would keep dockerd from starting, before anything is written. That is a file that is not a
    JSON object, a value of a wrong type, a key that dockerd is given as a flag too (by the running process,
    systemd's unit and its drop-ins, or C(DOCKER_OPTS) in C(/etc/default/docker)), and, where C(dockerd
    --validate) exists, whatever it refuses.
  - Says whether the running engine has to be reloaded or restarted, and does neither itself.
extends_documentation_fragment:
  - stronghold.registry.files
  - stronghold.registry.attributes
options:
  path:
    description:
      - The file.
    type: path
    default: /etc/docker/daemon.json
  config:
    description:
      - The keys and their values. Objects are merged key by key.
      - With O(state=absent) the value of a key says what of it goes. Of an object only the keys that are
        named, of a list only the items that are named, of anything else the whole key, whatever its value.
    type: dict
    required: true
  state:
    description:
      - Whether the keys shall be in the file.
      - With V(absent) a key that has become empty goes altogether. A file that has become empty is removed,
        and its backup too, since both held nothing but these keys.
    type: str
    choices: [present, absent]
    default: present
  lists:
    description:
      - Whether the items of a list are added to those that are there, or replace them.
      - With O(state=absent), V(replace) removes a list with all its items.
    type: str
    choices: [merge, replace]
    default: merge
  backup:
    description:
      - Keep the former file beside the new one, with C(.bak) appended to its name and with its owner and
        mode. Only the last one is kept.
    type: bool
    default: true
  dockerd:
    description:
      - The program that judges the new content. Default is the one in C(PATH), C(/usr/sbin) or C(/usr/bin).
        Without any, the module's own checks have to do.
    type: path
  engine_required:
    description:
      - Whether it is an error that there is no Docker engine on the host. Otherwise the file waits for one.
    type: bool
    default: false
  docker_socket:
    description:
      - Where the running engine answers. It is asked for the settings that it has, so that a reload that was
        missed after an earlier change is noticed. Only asked where a dockerd that reads O(path) runs.
    type: path
    default: /var/run/docker.sock
  mode:
    description:
      - Octal permissions of the file, as a string. A new file has V(0644) by default, one that is there keeps
        what it has.
    type: raw
notes:
  - A reload of the engine keeps a value whose key is gone from the file. So when a key is removed whose value
    the running engine still has (C(debug), C(insecure-registries), C(labels), C(live-restore) and
    C(registry-mirrors)), the key first stays with an empty value or V(false), which a reload does apply. It
    is in RV(placeholders), and the run after the reload removes it.
"""

EXAMPLES = r"""
- name: Keep containers running while the engine restarts, and their logs small
  stronghold.registry.daemon_config:
    config:
      live-restore: true
      log-opts:
        max-size: 10m
        max-file: "3"
  register: daemon_config

- name: Reload the engine
  ansible.builtin.service:
    name: docker
    state: reloaded
  when: daemon_config.reload_required

- name: Trust one insecure registry less
  stronghold.registry.daemon_config:
    config:
      insecure-registries:
        - registry.lab:5000
    state: absent
"""

RETURN = r"""
reasons:
  description:
    - Why the file has to change, a sentence each, and why the engine has to be reloaded where the file is
      right already.
  type: list
  elements: str
  returned: always
  sample: ["insecure-registries: adds registry.lab:5000", "live-restore: true, was not set"]
config:
  description: The keys of O(config) as they are in the file after the run, without credentials in addresses.
  type: dict
  returned: always
  sample: {"live-restore": true}
keys:
  description: The names of all keys in the file after the run, sorted.
  type: list
  elements: str
  returned: always
  sample: [insecure-registries, live-restore]
placeholders:
  description: Keys that stay with a value that means nothing until the engine is reloaded. Run once more
    after the reload.
  type: list
  elements: str
  returned: always
  sample: [insecure-registries]
backup_file:
  description: Where the former file is kept, when the content changed and there was one.
  type: str
  returned: always
  sample: /etc/docker/daemon.json.bak
dockerd:
  description: The path of the engine's program. Null where there is none.
  type: str
  returned: always
  sample: /usr/sbin/dockerd
active:
  description: Whether the engine runs. With systemd, as its service C(docker).
  type: bool
  returned: always
enabled:
  description: Whether the engine is started at boot, by systemd or else by its init script.
  type: bool
  returned: always
systemd:
  description: Whether systemd runs this host.
  type: bool
  returned: always
reload_required:
  description: Whether a running engine has to be reloaded (SIGHUP) to do as the file says.
  type: bool
  returned: always
restart_required:
  description: Whether a running engine has to be restarted, since a reload does not apply one of the keys
    that changed.
  type: bool
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stronghold.registry.plugins.module_utils import _daemon_json, _docker_engine, _files
from ansible_collections.stronghold.registry.plugins.module_utils._module import conclude

ARGUMENT_SPEC = {
    "path": {"type": "path", "default": _docker_engine.DEFAULT_CONFIG},
    "config": {"type": "dict", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "lists": {"type": "str", "choices": ["merge", "replace"], "default": "merge"},
    "backup": {"type": "bool", "default": True},
    "dockerd": {"type": "path"},
    "docker_socket": {"type": "path", "default": _docker_engine.DEFAULT_SOCKET},
    "engine_required": {"type": "bool", "default": False},
    **_files.ARGUMENTS,
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    conclude(module, lambda: _daemon_json.run(module.params, module.check_mode), exclusive=True)


if __name__ == "__main__":
    main()
