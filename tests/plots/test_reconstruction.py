import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError

from unspool.data.sequences import Sequences
from unspool.data.windows import Windows
from unspool.errors import InputError
from unspool.plots import ReconstructionDisplay

LENGTHS = [4, 9, 1, 6, 0, 7, 3]


def ragged(features=2):
    rng = np.random.default_rng(0)
    return [rng.normal(size=(length, features)) for length in LENGTHS]


def error_of(call, *args, **kwargs):
    with pytest.raises(InputError) as caught:
        call(*args, **kwargs)
    assert plt.get_fignums() == []
    return str(caught.value)


def test_there_is_a_row_of_panels_per_sequence_and_a_column_per_feature(autoencoder):
    display = ReconstructionDisplay.from_estimator(autoencoder, ragged(), slice(None))
    assert display.ax_.shape == (7, 2)
    for panels, one in zip(display.ax_, ragged(), strict=True):
        for panel, feature in zip(panels, one.T, strict=True):
            given, reconstructed = panel.get_lines()
            np.testing.assert_array_equal(given.get_ydata(), feature)
            np.testing.assert_array_equal(reconstructed.get_ydata(), feature / 2)
            assert len(given.get_xdata()) == len(reconstructed.get_xdata()) == len(one)


def test_input_is_blue_and_reconstruction_red_and_the_legend_says_so(autoencoder):
    display = ReconstructionDisplay.from_estimator(autoencoder, ragged(1))
    given, reconstructed = (line.get_color() for line in display.ax_[0, 0].get_lines())
    red, _, blue = plt.matplotlib.colors.to_rgb(given)
    assert blue > 2 * red
    red, _, blue = plt.matplotlib.colors.to_rgb(reconstructed)
    assert red > 2 * blue
    (legend,) = display.figure_.legends
    assert [text.get_text() for text in legend.get_texts()] == ["input", "reconstruction"]
    assert [line.get_color() for line in legend.get_lines()] == [given, reconstructed]


def test_five_evenly_spaced_sequences_are_reconstructed_and_shown(autoencoder):
    windows = Windows(np.arange(20_000.0), 4)
    display = ReconstructionDisplay.from_estimator(autoencoder, windows)
    assert display.names == [0, 4999, 9998, 14997, 19996]
    (inputs,) = autoencoder.inputs
    assert len(inputs) == 5
    assert [one[0, 0] for one in inputs] == display.names


@pytest.mark.parametrize(
    ("indices", "shown"),
    [
        ([3, 0], [3, 0]),
        ([-1], [6]),
        (2, [2]),
        (slice(1, 3), [1, 2]),
        (np.array(LENGTHS) > 5, [1, 3, 5]),
    ],
)
def test_the_chosen_sequences_are_titled_with_their_index(autoencoder, indices, shown):
    display = ReconstructionDisplay.from_estimator(autoencoder, ragged(), indices)
    assert len(autoencoder.inputs[0]) == len(shown)
    for panel, number in zip(display.ax_[:, 0], shown, strict=True):
        np.testing.assert_array_equal(panel.get_lines()[0].get_ydata(), ragged()[number][:, 0])
        error = np.mean((ragged()[number] / 2) ** 2)
        assert panel.get_title(loc="left") == f"sequence {number} · MSE {error:.3g}"


def test_fewer_sequences_than_requested_are_all_shown(autoencoder):
    assert ReconstructionDisplay.from_estimator(autoencoder, ragged()[:2]).ax_.shape == (2, 2)
    display = ReconstructionDisplay.from_estimator(autoencoder, ragged(), n_sequences=3)
    assert display.names == [0, 3, 6]


def test_errors_include_features_that_are_not_shown():
    inputs = [np.zeros((3, 4)), np.zeros((0, 4))]
    outputs = [np.arange(12.0).reshape(3, 4), np.zeros((0, 4))]
    display = ReconstructionDisplay(inputs, outputs).plot(max_features=1)
    np.testing.assert_allclose(display.errors, [np.mean(np.arange(12.0) ** 2), np.nan])
    assert display.ax_[1, 0].get_title(loc="left") == "sequence 1 · no steps"


def test_a_reconstruction_may_be_a_list_or_have_one_axis_less(autoencoder):
    expected = [one / 2 for one in ragged(1)]
    flat = np.full((7, 9), np.nan)
    for row, one in zip(flat, expected, strict=True):
        row[: len(one)] = one[:, 0]
    for form in (expected, flat, flat[:, :, None]):
        autoencoder.reconstruct = lambda X, form=form: form
        display = ReconstructionDisplay.from_estimator(autoencoder, ragged(1), slice(None))
        for got, one in zip(display.reconstructions, expected, strict=True):
            np.testing.assert_array_equal(got, one)


def test_only_the_first_features_are_shown_and_the_title_says_so(autoencoder):
    display = ReconstructionDisplay.from_estimator(autoencoder, ragged(5))
    assert display.ax_.shape == (5, 3)
    assert display.figure_.get_suptitle() == "Input and reconstruction (first 3 of 5 features)"
    display = ReconstructionDisplay.from_estimator(autoencoder, ragged(2), max_features=2)
    assert display.figure_.get_suptitle() == "Input and reconstruction"


def test_panels_are_labelled(autoencoder):
    names = ["volts", "temperature_of_the_wall"]
    X = Sequences.from_list(ragged(), feature_names=names)
    display = ReconstructionDisplay.from_estimator(autoencoder, X)
    assert [ax.get_ylabel() for ax in display.ax_[2]] == ["volts", "temperature_of…"]
    assert [ax.get_xlabel() for ax in display.ax_[:, 0]] == ["", "", "", "", "time step"]
    display = ReconstructionDisplay.from_estimator(autoencoder, ragged())
    assert [ax.get_ylabel() for ax in display.ax_[0]] == ["feature 0", "feature 1"]
    display = ReconstructionDisplay.from_estimator(autoencoder, ragged(1))
    assert display.ax_[0, 0].get_ylabel() == "value"


def test_a_single_step_is_a_visible_point(autoencoder):
    display = ReconstructionDisplay.from_estimator(autoencoder, ragged(1), [2, 0])
    markers = [[line.get_marker() for line in ax.get_lines()] for ax in display.ax_[:, 0]]
    assert markers == [["o", "o"], ["None", "None"]]


def test_styles_can_be_changed(autoencoder):
    display = ReconstructionDisplay.from_estimator(
        autoencoder, ragged(), input_kw={"color": "black"}, reconstruction_kw={"linestyle": ":"}
    )
    given, reconstructed = display.ax_[0, 0].get_lines()
    assert given.get_color() == "black"
    assert reconstructed.get_linestyle() == ":"


def test_drawing_onto_given_axes_opens_no_figure(autoencoder):
    figure, axes = plt.subplots(2, 2)
    display = ReconstructionDisplay.from_estimator(autoencoder, ragged(), [0, 1], ax=axes)
    assert (display.ax_ == axes).all()
    assert display.figure_ is figure
    assert plt.get_fignums() == [figure.number]
    assert len(axes[1, 1].get_lines()) == 2
    assert axes[0, 1].get_legend() is not None
    single = ReconstructionDisplay([np.ones((3, 1))], [np.ones((3, 1))]).plot(axes[0, 0])
    assert single.ax_.shape == (1, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ([], []),
            "Expected one reconstruction for each input, and at least one input, got 0 "
            "reconstructions for 0 inputs.",
        ),
        (
            ([np.ones((3, 2))], []),
            "Expected one reconstruction for each input, and at least one input, got 0 "
            "reconstructions for 1 inputs.",
        ),
        (
            ([np.ones(3)], [np.ones(3)]),
            "Expected every input of shape (steps, features) with the features of the first, got "
            "shape (3,) for sequence 0.",
        ),
        (
            ([np.ones((3, 2)), np.ones((3, 1))], [np.ones((3, 2)), np.ones((3, 1))]),
            "Expected every input of shape (steps, features) with the features of the first, got "
            "shape (3, 1) for sequence 1.",
        ),
        (
            ([np.ones((3, 2)), np.ones((4, 2))], [np.ones((3, 2)), np.ones((3, 2))]),
            "Expected a reconstruction of shape (4, 2), as its input, got (3, 2) for sequence 1.",
        ),
        (
            ([np.ones((3, 2))], [np.ones((3, 1))]),
            "Expected a reconstruction of shape (3, 2), as its input, got (3, 1) for sequence 0.",
        ),
        (
            ([np.ones((3, 2))], [np.ones((3, 2))], ["a", "b"]),
            "Expected 1 names, got 2.",
        ),
        (
            ([np.ones((3, 2))], [np.ones((3, 2))], None, ["a"]),
            "Expected 2 feature names, got 1: ['a'].",
        ),
    ],
)
def test_arguments_that_do_not_match_are_refused(arguments, message):
    assert error_of(ReconstructionDisplay, *arguments) == message


def test_arguments_of_from_estimator_and_plot_are_checked(autoencoder):
    call = ReconstructionDisplay.from_estimator
    assert error_of(call, autoencoder, ragged(), []) == (
        "Expected at least one sequence to show, got none."
    )
    assert error_of(call, autoencoder, ragged(), n_sequences=0) == (
        "`n_sequences` must be a whole number of at least 1, got 0."
    )
    assert error_of(call, autoencoder, ragged(), max_features=0) == (
        "`max_features` must be a whole number of at least 1, got 0."
    )
    assert error_of(call, autoencoder, ragged(), [0, 1], ax=[None]) == (
        "Expected 2 × 2 axes (one row per sequence, one column per feature), got 1."
    )
    assert error_of(call, PCA(), ragged()) == (
        "Expected an estimator with the method `reconstruct`, but PCA has none."
    )


def test_an_estimator_that_is_not_fitted_is_refused(unfitted):
    with pytest.raises(NotFittedError) as caught:
        ReconstructionDisplay.from_estimator(unfitted, ragged())
    assert str(caught.value) == (
        "This FakeAutoencoder instance is not fitted yet. Call 'fit' with appropriate arguments "
        "before using this estimator."
    )


def widths(panel):
    """The widths of the bars by the labels of the features."""
    labels = [tick.get_text() for tick in panel.get_yticklabels()]
    return dict(zip(labels, [bar.get_width() for bar in panel.patches], strict=True))


def test_errors_of_features_are_bars_next_to_each_sequence(autoencoder):
    seen = []

    def reconstruction_error(X, *, per):
        seen.append((len(X), per))
        return np.arange(14.0).reshape(7, 2)

    autoencoder.reconstruction_error = reconstruction_error
    X = Sequences.from_list(ragged(), feature_names=["volts", "amperes"])
    display = ReconstructionDisplay.from_estimator(autoencoder, X, slice(None), errors=True)
    assert seen == [(7, "feature")]
    assert display.ax_.shape == (7, 3)
    for row, panel in enumerate(display.ax_[:, -1]):
        assert widths(panel) == {"volts": 2 * row, "amperes": 2 * row + 1}
        assert panel.yaxis_inverted()
    assert [ax.get_xlabel() for ax in display.ax_[-1]] == ["time step", "time step", "error"]
    for column, panel in enumerate(display.ax_[3]):
        first = display.ax_[0, column]
        assert panel.get_xlim() == first.get_xlim()
        assert panel.get_ylim() == first.get_ylim()
    assert len(autoencoder.inputs) == 1


def test_by_default_errors_of_features_are_mean_squares_and_are_not_drawn():
    inputs = [np.zeros((3, 2)), np.zeros((0, 2))]
    outputs = [np.arange(6.0).reshape(3, 2), np.zeros((0, 2))]
    display = ReconstructionDisplay(inputs, outputs)
    expected = [[20 / 3, 35 / 3], [np.nan, np.nan]]
    np.testing.assert_allclose(display.feature_errors, expected)
    assert display.plot().ax_.shape == (2, 2)
    drawn = display.plot(errors=True).ax_[:, -1]
    np.testing.assert_allclose([*widths(drawn[0]).values()], expected[0])
    assert [*widths(drawn[1]).values()] == [0, 0]


def test_only_the_largest_errors_of_many_features_are_drawn():
    errors = np.array([[5, 1, 9, 2, 8, 7, 3, 6, 4, 0.5]])
    display = ReconstructionDisplay([np.zeros((3, 10))], [np.ones((3, 10))], feature_errors=errors)
    panel = display.plot(errors=True).ax_[0, -1]
    assert widths(panel) == {f"feature {i}": errors[0, i] for i in range(10) if errors[0, i] > 1}


def test_given_axes_include_those_of_the_errors():
    display = ReconstructionDisplay([np.zeros((3, 2))], [np.ones((3, 2))])
    _, given = plt.subplots(1, 3)
    assert display.plot(given, errors=True).ax_[0, 2].patches
    plt.close("all")
    _, given = plt.subplots(1, 2)
    with pytest.raises(InputError) as caught:
        display.plot(given, errors=True)
    assert str(caught.value) == (
        "Expected 1 × 3 axes (one row per sequence, one column per feature, and one for the "
        "errors), got 2."
    )


def test_errors_of_features_that_do_not_fit_are_refused(autoencoder):
    pair = [np.zeros((3, 2))], [np.ones((3, 2))]
    assert error_of(ReconstructionDisplay, *pair, feature_errors=[1, 2]) == (
        "Expected `feature_errors` of shape (1, 2), one for each feature of each sequence, got "
        "(2,)."
    )
    assert error_of(ReconstructionDisplay.from_estimator, autoencoder, ragged(), errors=1) == (
        "`errors` must be True or False, got 1."
    )
    assert error_of(ReconstructionDisplay.from_estimator, autoencoder, ragged(), errors=True) == (
        "Expected an estimator with the method `reconstruction_error`, but FakeAutoencoder has "
        "none."
    )
