"""Settings of Sphinx for the site."""

project = "Reverie"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = "Reverie"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_static_path = ["static"]
html_css_files = ["narrow.css"]
smartquotes = False
root_doc = "index"
myst_heading_anchors = 4
myst_enable_extensions = ["attrs_inline"]
suppress_warnings = ["myst.header", "toc.not_included"]
exclude_patterns = ["site"]
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_param = False
nitpick_ignore_regex = [("py:.*", r"(?!reverie\.).*")]
"""Types of other libraries, and of modules that are no public face, need not resolve."""
