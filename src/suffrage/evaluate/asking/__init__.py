"""Asking models: the items, scenarios and judges that evaluations share."""
