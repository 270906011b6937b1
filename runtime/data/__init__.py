"""Datasets, batches and augmentation."""
