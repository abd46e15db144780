# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module registry_timers: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_timers
short_description: Have a host maintain its registry by itself
version_added: 1.0.0
author:
  - the stronghold.registry authors (@stronghold)
description:
  - Makes timers of systemd that collect garbage, back up and renew certificates, each where it has a schedule, and one
    program that they start. It holds the modules' own code, so nothing else of this collection is needed on the host.
  - What a timer does, and what went wrong, is in the journal of its service.
  - Where a job is killed, systemd lets the registry be pushed to again at once; where the host goes down, at boot.
extends_documentation_fragment:
  - stronghold.registry.attributes
requirements:
  - systemd
  - the docker client
  - PyYAML
  - cryptography, for O(renew_schedule)
  - GnuPG, for O(passphrase)
options:
  container:
    description:
      - The name of the registry's container, after which the units are named.
    type: str
    required: true
  directory:
    description:
      - The registry's directory on this host.
    type: path
    required: true
  state:
    description:
      - V(absent) removes what was made for this registry. The program stays, for others.
    type: str
    choices: [present, absent]
    default: present
  garbage_collect_schedule:
    description:
      - When to collect garbage, as a calendar event of systemd, such as V(Sun 03:00). Empty for never.
      - Each job begins up to 15 minutes later, so that not all hosts do at the same time.
    type: str
    default: ""
  delete_untagged:
    description:
      - As in M(stronghold.registry.registry_garbage_collect).
    type: bool
    default: false
  backup_schedule:
    description:
      - When to back up, likewise.
    type: str
    default: ""
  backup_directory:
    description:
      - Where the archives go.
    type: path
    default: /var/backups
  passphrase:
    description:
      - With what they are encrypted. It lies on the host, readable for root only, as the keys in the archive do.
    type: str
    default: ""
  keep:
    description:
      - How many archives to keep. V(0) keeps all.
    type: int
    default: 0
  renew_schedule:
    description:
      - When to look whether the certificates are due, likewise. Only a renewed certificate restarts the registry.
    type: str
    default: ""
  certificate:
    description:
      - With O(renew_schedule), the parameters of the module M(stronghold.registry.certificate).
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Have the host collect garbage every week, and renew its certificate
  stronghold.registry.registry_timers:
    container: registry
    directory: /srv/registry
    garbage_collect_schedule: Sun 03:00
    renew_schedule: daily
    certificate:
      path: /srv/registry/certs/registry.crt
      privatekey_path: /srv/registry/certs/registry.key
      ca_path: /srv/registry/ca/ca.crt
      ca_privatekey_path: /srv/registry/ca/ca.key
      names: [registry.example.com]
"""

RETURN = r"""
reasons:
  description: Why something has to change, a sentence each. Empty when nothing has.
  type: list
  elements: str
  returned: success
  sample: ["/usr/local/lib/stronghold/registry.pyz: is another program"]
timers:
  description: The timers that there are now for this registry.
  type: list
  elements: str
  returned: success
  sample: [stronghold-registry-renew.timer]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.stronghold.registry.plugins.module_utils import _certificate_request, _timers
from ansible_collections.stronghold.registry.plugins.module_utils._module import conclude

_PASSPHRASES = ("privatekey_passphrase", "ca_privatekey_passphrase")
ARGUMENT_SPEC = {
    "container": {"type": "str", "required": True},
    "directory": {"type": "path", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "garbage_collect_schedule": {"type": "str", "default": ""},
    "delete_untagged": {"type": "bool", "default": False},
    "backup_schedule": {"type": "str", "default": ""},
    "backup_directory": {"type": "path", "default": "/var/backups"},
    "passphrase": {"type": "str", "default": "", "no_log": True},
    "keep": {"type": "int", "default": 0},
    "renew_schedule": {"type": "str", "default": ""},
    # Keeps the passphrases in it out of the system's log.
    "certificate": {"type": "dict", "default": {}, "no_log": True},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    # With every value of the certificate's masked, no reason could be read: only the secret ones are.
    passphrases = [params["passphrase"], *(params["certificate"].get(name) for name in _PASSPHRASES)]
    module.no_log_values = {str(passphrase) for passphrase in passphrases if passphrase}
    if params["renew_schedule"] and params["state"] == "present":
        validated = ArgumentSpecValidator(_certificate_request.ARGUMENTS).validate(params["certificate"])
        if validated.error_messages:
            module.fail_json(msg=f"certificate: {' '.join(validated.error_messages)}")
        params = {**params, "certificate": validated.validated_parameters}
    conclude(module, lambda: _timers.run(params, module.check_mode), exclusive=True)


if __name__ == "__main__":
    main()
