"""What a run is measured by on data with known targets: `table.METRICS` is the vocabulary."""
