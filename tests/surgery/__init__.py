"""Tests of editing models without loss."""
