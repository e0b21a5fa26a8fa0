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
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "_examples"]
default_role = "py:obj"  # `name` in a docstring is a link where it names something public
# Links to what is in the repository and no page of the site: their text is shown alone.
nitpick_ignore_regex = [
    ("myst", r"(\.\./)*(benchmarks/)?(results|examples|benchmarks|src/.*|README\.md)/?"),
    ("myst", r"SECURITY\.md"),
]

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

# Examples that run in less than a minute; the code of the others is shown without pictures.
QUICK = (
    "two_sines",
    "ramp_composite",
    "padded_sequences",
    "forecast_in_numpy",
    "digit_images",
    "machine_temperature",
)
sphinx_gallery_conf = {
    "examples_dirs": "_examples",
    "gallery_dirs": "gallery",
    "filename_pattern": rf"/({'|'.join(QUICK)})\.py$",
    "download_all_examples": False,
    "show_memory": False,
    "write_computation_times": False,
}

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

# Files outside this folder that a page includes, and that page.
PAGES_OF_FILES = {
    "../CONTRIBUTING.md": "contributing.md",
    "../CHANGELOG.md": "changelog.md",
    "../benchmarks/RESULTS.md": "benchmarks.md",
}


def link_to_pages(app, name, source):
    """Let links to a file that a page includes lead to that page."""
    for file, page in PAGES_OF_FILES.items():
        source[0] = source[0].replace(f"]({file}", f"]({page}")


def setup(app):
    """Connect what Sphinx calls for each page that it reads."""
    app.connect("source-read", link_to_pages)
