"""The report: one page that opens offline, its tables, and what terminals show."""
