"""The settings of the documentation site; `make docs` builds it."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

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
# Links of included files to what is in the repository and no page: their text is shown alone.
nitpick_ignore_regex = [("myst", r"(\.\./)*(results|examples|benchmarks|src/.*|README\.md)/?")]

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
