"""The settings of the documentation site; `make docs` builds it."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))

import unspool  # noqa: E402
from docs import generated_pages  # noqa: E402

generated_pages.write(HERE)

project = "unspool"
copyright = "the authors of unspool"
version = release = unspool.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "myst_parser",
    "numpydoc",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]
default_role = "py:obj"  # `name` in a docstring is a link where it names something public
nitpicky = False

autodoc_typehints = "none"  # numpydoc's sections have the types
autodoc_member_order = "bysource"
autosummary_generate = False  # generated_pages writes the pages
maximum_signature_line_length = 80
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = False

html_theme = "pydata_sphinx_theme"
html_title = "unspool"
html_static_path = ["_static"]
html_css_files = ["unspool.css"]
html_copy_source = False
html_theme_options = {
    "logo": {"text": "unspool"},
    "navigation_with_keys": False,
    "show_prev_next": True,
    "navbar_align": "left",
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
}
html_sidebars = {"index": [], "cli": []}


def without_link(app, env, node, contnode):
    """Show the text of a link that leads to a folder or file of the repository, not to a page."""
    target = node.get("reftarget", "").partition("#")[0]
    folders = (HERE, ROOT, ROOT / "benchmarks")
    if target and any((folder / target).exists() for folder in folders):
        return contnode
    return None


def setup(app):
    """Connect what Sphinx calls."""
    app.connect("missing-reference", without_link)
