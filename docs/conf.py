"""The settings of the documentation site; `make docs` builds it."""

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
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
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "_examples"]
smartquotes = False  # "auto" in a text is what one types
default_role = "py:obj"  # `name` in a docstring is a link where it names something public

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
    "remove_config_comments": True,
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

# Files outside this folder, each with the page that includes it.
PAGE_OF_FILE = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "benchmarks/README.md": "benchmark-method.md",
    "benchmarks/RESULTS.md": "benchmarks.md",
}
LINK = re.compile(r"(!?)\[([^\]]+)\]\(([^)#:\s]+)(#[^)]*)?\)")


def link_to_pages(text, folder):
    """Let the links of a file of the repository, in `folder`, lead to pages of the site.

    Links to folders and to files that are no page become text.
    """

    def link(match):
        image, label, target, anchor = match.groups()
        path = (folder / target).resolve()
        if image or not path.exists():
            return match[0]
        file = path.relative_to(ROOT).as_posix()
        page = PAGE_OF_FILE.get(file, file.removeprefix("docs/"))
        if (HERE / page).is_file() and page.endswith((".md", ".rst")):
            return f"[{label}](/{page}{anchor or ''})"
        return label

    return LINK.sub(link, text)


def on_read(app, name, source):
    """Change the links of a page."""
    path = app.env.doc2path(name)
    if str(path).endswith(".md"):
        source[0] = link_to_pages(source[0], path.parent)


def on_include(app, path, name, source):
    """Change the links of an included file."""
    source[0] = link_to_pages(source[0], (HERE / path).resolve().parent)


def literal_endings(app, what, name, obj, options, lines):
    """Write `.csv` in a docstring as a literal: as a reference it would lose its dot."""
    lines[:] = [re.sub(r"(?<!`)`(\.\w+)`(?!`)", r"``\1``", line) for line in lines]


def setup(app):
    """Connect what Sphinx calls for each page and included file that it reads."""
    app.connect("autodoc-process-docstring", literal_endings)
    app.connect("source-read", on_read)
    app.connect("include-read", on_include)
