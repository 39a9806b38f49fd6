"""Workflows that are written as functions."""
