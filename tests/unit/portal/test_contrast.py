import re
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.portal.rendering.assets import DARK, LIGHT
from gateway.portal.rendering.contrast import SHAPE, contrast, mix, readable, text_on

colors = st.tuples(*[st.integers(0, 255)] * 3).map(lambda rgb: "#{:02x}{:02x}{:02x}".format(*rgb))


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ("#000000", "#ffffff", 21.0),
        ("#777777", "#ffffff", 4.48),
        ("#767676", "#ffffff", 4.54),
        ("#ff0000", "#ffffff", 4.00),
        ("#2f5bea", "#2f5bea", 1.0),
    ],
)
def test_contrast_agrees_with_published_values(one: str, other: str, ratio: float) -> None:
    assert contrast(one, other) == pytest.approx(ratio, abs=0.005)


@given(colors, colors)
def test_contrast_is_the_same_both_ways_and_between_1_and_21(one: str, other: str) -> None:
    assert contrast(one, other) == contrast(other, one)
    assert 1 <= contrast(one, other) <= 21.0001


@given(colors)
def test_button_text_reads_on_every_brand_colour(color: str) -> None:
    assert contrast(text_on(color), color) >= 4.5


@given(colors, st.sampled_from([LIGHT, DARK]))
def test_links_read_on_every_surface_for_every_brand_colour(color: str, surfaces: tuple[str, ...]) -> None:
    link = readable(color, surfaces)
    assert all(contrast(link, surface) >= 4.5 for surface in surfaces)


@given(colors, st.sampled_from([LIGHT, DARK]))
def test_edges_of_controls_stand_out_for_every_brand_colour(color: str, surfaces: tuple[str, ...]) -> None:
    edge = readable(color, surfaces, SHAPE)
    assert all(contrast(edge, surface) >= 3 for surface in surfaces)


def test_a_brand_colour_that_already_reads_stays_as_it_is() -> None:
    assert readable("#1a3fb0", LIGHT) == "#1a3fb0"


@given(colors, colors)
def test_mixing_starts_at_one_colour_and_ends_at_the_other(one: str, other: str) -> None:
    assert mix(one, other, 0) == one
    assert mix(one, other, 1) == other


def _palettes() -> tuple[dict[str, str], dict[str, str]]:
    """The two palettes of style.css, short notation written out."""
    css = files("gateway").joinpath("portal/static/style.css").read_text()
    light, dark = css.split("@media (prefers-color-scheme: dark)")[:2]

    def properties(part: str) -> dict[str, str]:
        found = re.findall(r"--([a-z-]+): (#[0-9a-f]{3,6});", part)
        return {name: f"#{v[1] * 2}{v[2] * 2}{v[3] * 2}" if len(v) == 4 else v for name, v in found}

    return properties(light), properties(dark)


def test_surfaces_known_to_python_are_those_of_the_style_sheet() -> None:
    for palette, surfaces in zip(_palettes(), (LIGHT, DARK), strict=True):
        assert {palette[name] for name in ("page", "card", "field", "hover")} == set(surfaces)


def test_fixed_colours_of_the_style_sheet_read_on_their_surfaces() -> None:
    for palette in _palettes():
        for surface in ("page", "card", "field", "hover"):
            assert contrast(palette["text"], palette[surface]) >= 7
            assert contrast(palette["soft"], palette[surface]) >= 4.5
        assert contrast(palette["control"], palette["card"]) >= 3
        for kind in ("good", "warn", "bad"):
            assert contrast(palette[kind], palette[f"{kind}-back"]) >= 4.5
