"""What Sphinx needs to know; it finds this file by its name. Nothing here, or in the theme, asks another site."""

from __future__ import annotations

project = "facefit"
html_title = "facefit"
extensions = ["myst_parser", "sphinx_copybutton"]
myst_heading_anchors = 4
myst_enable_extensions = ["attrs_block"]
suppress_warnings = ["misc.highlighting_failure"]  # shortened JSON: "…"
html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0f5c63", "color-brand-content": "#0f5c63"},
    "dark_css_variables": {"color-brand-primary": "#6cc6cf", "color-brand-content": "#6cc6cf"},
}
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
pygments_style = "friendly"
copybutton_exclude = ".linenos, .gp, .go"
smartquotes = False
