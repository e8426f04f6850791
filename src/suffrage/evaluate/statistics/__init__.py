"""Statistics that evaluations share: figures, intervals, floors and corrected differences."""
