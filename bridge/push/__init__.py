"""Reaching somebody whose app is closed: jobs, who gets which hint, and the worker that has them sent."""
