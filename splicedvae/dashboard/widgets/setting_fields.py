"""Fields of forms for settings of a run: label, words, bounds and usual value as declared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from splicedvae._core.settings import RunFields, settings_of


def number(
    name: str,
    *,
    key: str,
    most: int | None = None,
    step: int | None = None,
    unset: str | None = None,
) -> Any:
    """Ask for a number.

    Parameters
    ----------
    name
        A setting of `RunFields`.
    key
        Of the widget.
    most
        Largest number that the form takes.
    step
        Between two numbers.
    unset
        Placeholder of the empty field.

    Returns
    -------
    The number; None where the field is empty.
    """
    setting = settings_of(RunFields)[name]
    return st.number_input(
        setting.label,
        min_value=setting.least,
        max_value=most,
        value=setting.usual,
        step=step,
        placeholder=unset,
        key=key,
        help=setting.words,
    )


def choice(
    name: str,
    labels: Mapping[Any, str],
    *,
    key: str,
    first: str | None = None,
    owner: type = RunFields,
) -> Any:
    """Ask for one of a few words.

    Parameters
    ----------
    name
        A setting.
    labels
        What the words are called, in the order of the list.
    key
        Of the widget.
    first
        What is chosen at first; as usual if None.
    owner
        Class whose field the setting is.

    Returns
    -------
    The word.
    """
    setting = settings_of(owner)[name]
    return st.selectbox(
        setting.label,
        list(labels),
        index=list(labels).index(first or setting.usual),
        format_func=labels.__getitem__,
        key=key,
        help=setting.words,
    )
