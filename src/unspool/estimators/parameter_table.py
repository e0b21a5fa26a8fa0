"""The parameters of an estimator as rows: for documentation, and for help on the command line."""

import inspect
import re
from typing import Any, NamedTuple

from unspool._registry import ESTIMATORS
from unspool.blueprint import definition


class ParameterRow(NamedTuple):
    """A parameter of an estimator.

    Parameters
    ----------
    name : str
    default : object
        Default in the signature.
    allowed : str
        Accepted values in words, by the table that `fit` checks.
    type : str
        Type in the docstring.
    text : str
        Text in the docstring.
    """

    name: str
    default: Any
    allowed: str
    type: str
    text: str


def parameter_rows(estimator: type) -> list[ParameterRow]:
    """Return the parameters of an estimator's class, in the order of its docstring.

    Examples
    --------
    >>> from unspool import LSTMAutoencoder
    >>> row = parameter_rows(LSTMAutoencoder)[0]
    >>> row.name, row.default, row.allowed, row.text
    ('latent_dim', 32, 'int of at least 1', 'Length of the code, L.')
    """
    name = next(one.__name__ for one in estimator.__mro__ if one.__name__ in ESTIMATORS)
    rules, signature = definition(name).parameters, inspect.signature(estimator).parameters
    return [
        ParameterRow(name, signature[name].default, rules[name].allowed, type, text)
        for name, type, text in documented(estimator)
    ]


def documented(estimator: type) -> list[tuple[str, str, str]]:
    """Name, type and text of each parameter in the docstring of a class."""
    section = re.search(
        r"^Parameters\n-+\n(.*?)\n\n^\w[\w ]*\n-+$",
        inspect.getdoc(estimator) or "",
        re.DOTALL | re.MULTILINE,
    )
    if section is None:
        return []
    entries = re.split(r"^(?=\S)", section.group(1), flags=re.MULTILINE)
    found = []
    for entry in filter(str.strip, entries):
        head, _, text = entry.partition("\n")
        name, _, type = head.partition(" : ")
        found.append((name, type, inspect.cleandoc(text)))
    return found
