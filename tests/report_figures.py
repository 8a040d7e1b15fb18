"""All that a page of the report shows, to be compared with another's."""

import json
import re
from pathlib import Path
from typing import Any


def figures(page: Path) -> tuple[str, dict[str, Any]]:
    """The page's text between head and foot, tables and all, and its charts with their data.

    Sums of shares differ in their last digits by the order in which they were added, and charts
    name their data after it.
    """
    _, _, rest = page.read_text(encoding="utf-8").partition("<main>")
    shown, _, _ = rest.partition("</main>")
    chart = r'<script type="application/json" id="chart-(\w+)">(.*?)</script>'
    charts = {name: _chart(text) for name, text in re.findall(chart, shown, re.DOTALL)}
    return re.sub(chart, "", shown, flags=re.DOTALL), charts


def _chart(text: str) -> Any:
    unnamed = re.sub(r'"data-[0-9a-f]+"', '"data"', text)
    return json.loads(unnamed, parse_float=lambda number: round(float(number), 9))
