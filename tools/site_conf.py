# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sphinx's configuration for the site, see tools/site.py."""

project = "stronghold.registry"
project_copyright = "2026, the stronghold.registry authors"
extensions = ["myst_parser", "sphinx_antsibull_ext"]
html_theme = "furo"
html_title = "stronghold.registry"
html_show_sphinx = False
html_static_path = ["static"]
html_css_files = ["site.css"]
antsibull_ext_color_scheme = "none"
myst_heading_anchors = 4
# Shell sessions with output, and YAML with what Jinja fills in.
highlight_language = "none"
suppress_warnings = ["misc.highlighting_failure"]
