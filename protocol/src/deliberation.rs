//! From counts and points to groups, consensus and a constitution: pure functions that every node repeats.
