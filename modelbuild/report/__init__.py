"""Build results -> a report: data for programs, a page for people."""
