"""The report on a warehouse: queries, figures, charts, page."""
