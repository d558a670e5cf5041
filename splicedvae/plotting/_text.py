"""Text from data, made safe and short enough for a figure.

plotly reads names as a small HTML (``<b>``), as templates (``%{x}``) and, where MathJax is
loaded, as TeX (``$...$``). A cluster called ``<5%{x}$`` must appear as just that.
"""

from __future__ import annotations

import textwrap

#: Characters that plotly would interpret, and the entities it shows unchanged.
_ENTITIES = str.maketrans(
    {
        "&": "&amp;",
        "<": "&lt;",
        ">": "&gt;",
        "{": "&#123;",
        "}": "&#125;",
        "$": "&#36;",
        "\n": " ",
        "\r": " ",
        "\t": " ",
    }
)

#: Longest name that a legend shows in full.
LEGEND_LENGTH = 26


def escape(text: object) -> str:
    """Make text from data safe in any plotly label, hover text or template.

    Parameters
    ----------
    text
        Anything; its ``str`` is taken.

    Returns
    -------
    The text with what plotly would interpret replaced by entities, on one line.
    """
    return str(text).translate(_ENTITIES)


def shorten(text: object, length: int = LEGEND_LENGTH) -> str:
    """Shorten a name in its middle, so that names that differ at their end stay apart.

    Parameters
    ----------
    text
        Anything; its ``str`` is taken.
    length
        Longest result, in characters; at least 3.

    Returns
    -------
    The name, not escaped, at most ``length`` characters long.
    """
    name = str(text)
    if len(name) <= length:
        return name
    kept = max(length, 3) - 1
    head = (kept + 1) // 2
    return f"{name[:head]}…{name[len(name) - (kept - head) :]}"


def label(text: object, length: int = LEGEND_LENGTH) -> str:
    """Shorten, then escape: text of a legend, a title or a tick.

    Parameters
    ----------
    text
        Anything; its ``str`` is taken.
    length
        Longest result before escaping, in characters.

    Returns
    -------
    Text that is safe in plotly.
    """
    return escape(shorten(text, length))


def wrap(text: object, width: int) -> str:
    """Break a sentence into escaped lines joined by ``<br>``.

    Parameters
    ----------
    text
        Anything; its ``str`` is taken.
    width
        Longest line, in characters.

    Returns
    -------
    Text that is safe in a plotly annotation.
    """
    return "<br>".join(escape(line) for line in textwrap.wrap(str(text), width=width))
