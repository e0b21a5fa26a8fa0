"""Features by name or place, as in the parameters `targets` and `known` of a model."""

from collections.abc import Sequence

from unspool import _checks
from unspool.errors import InputError


def places_of(
    parameter: str,
    chosen: Sequence[str | int],
    names: Sequence[str] | None,
    n_features: int,
) -> tuple[int, ...]:
    """Return the places of chosen features.

    Parameters
    ----------
    parameter : str
        Name of the parameter, for messages.
    chosen : sequence of str or int
        Names or places of features. A negative place counts from the last feature.
    names : sequence of F str, optional
        Names of all features.
    n_features : int
        Number of all features, F.

    Raises
    ------
    InputError
        If a feature does not exist, or is chosen twice.

    Examples
    --------
    >>> places_of("targets", ["load", 0], ("temperature", "load"), 2)
    (1, 0)
    """
    places = []
    for one in chosen:
        if isinstance(one, str):
            if names is None:
                raise InputError(
                    f"`{parameter}` has the name {one!r}, but the features of `X` have no names; "
                    f"give places from 0 to {n_features - 1}, or a frame or `feature_names`."
                )
            if one not in names:
                raise InputError(f"`{parameter}`: {_checks.unknown_name('feature', one, names)}")
            places.append(list(names).index(one))
        else:
            if not -n_features <= one < n_features:
                raise InputError(
                    f"`{parameter}` must have places from 0 to {n_features - 1}, because `X` has "
                    f"{n_features} features, got {one}."
                )
            places.append(int(one) % n_features)
    for place in places:
        if places.count(place) > 1:
            name = place if names is None else names[place]
            raise InputError(f"`{parameter}` has the feature {name!r} twice; leave one out.")
    return tuple(places)


def check_apart(
    targets: Sequence[int] | None, known: Sequence[int], names: Sequence[str] | None, n: int
) -> None:
    """Refuse features that are targets and known ahead at the same time.

    Parameters
    ----------
    targets, known : sequence of int
        Places of features; `targets` may be None for all.
    names : sequence of str, optional
        Names of all features.
    n : int
        Number of all features.
    """
    both = [place for place in known if targets is None or place in targets]
    if not both:
        return
    name = repr(both[0] if names is None else names[both[0]])
    if targets is None:
        raise InputError(
            f"`known` has the feature {name}, which is forecast too, because `targets` is None; "
            f"set `targets` to the features to forecast, out of {n}."
        )
    raise InputError(
        f"The feature {name} is in `targets` and in `known`; a feature that is known ahead is not "
        "forecast, so leave it out of one of them."
    )
