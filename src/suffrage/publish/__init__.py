"""What leaves a run for others: model cards, receipts, and the folder that is published."""
