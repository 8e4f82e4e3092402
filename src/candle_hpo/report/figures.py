"""The figures of a report for print, one file each: the page's charts, drawn by vl-convert."""

from __future__ import annotations

import resource
from collections.abc import Sequence

import vl_convert

from candle_hpo.core.errors import MachineError
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.record.history import History
from candle_hpo.report.charts.charts import for_print, rows_of
from candle_hpo.report.charts.style import LIGHT, PRINT_FONT, config
from candle_hpo.report.curves import curves_of
from candle_hpo.report.page.data import page_data
from candle_hpo.report.space import log_scales

DOTS_PER_INCH = 300
# The JavaScript engine in vl-convert reserves addresses, not memory; without them it ends the process.
_ADDRESS_SPACE = 128 * 2**30


def figures_of(paths: ExperimentPaths, history: History, names: Sequence[str], file_format: str) -> dict[str, bytes]:
    """Return the figures as files of this format (png, svg) by their names.

    Those of which there is nothing to show yet are left out. Raises `MachineError` under a limit of address space.
    """
    _raise_limit_of_addresses(file_format)
    data = page_data(paths.root.name, history, names, log_scales(paths), curves_of(paths, history))
    style, rows = config(LIGHT, PRINT_FONT), rows_of(data)
    files: dict[str, bytes] = {}
    for name, chart in for_print(data):
        svg = vl_convert.vegalite_to_svg({**chart, "datasets": rows}, config=style)
        files[name] = svg.encode() if file_format == "svg" else vl_convert.svg_to_png(svg, ppi=DOTS_PER_INCH)
    return files


def _raise_limit_of_addresses(file_format: str) -> None:
    limit, most = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < _ADDRESS_SPACE:
        if most != resource.RLIM_INFINITY and most < _ADDRESS_SPACE:
            raise MachineError(
                f"drawing a {file_format.upper()} needs {_ADDRESS_SPACE >> 30} GB of address space, and this shell has "
                f"a limit of {limit / 2**30:.3g} GB (ulimit -v); run it on another machine, or without --format"
            )
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
