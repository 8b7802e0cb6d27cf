"""Tests of the public functions inside jitted code: the same bits and the same errors as outside."""
