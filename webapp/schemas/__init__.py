"""Shapes of bodies and answers. They check shape; rules are in the services."""
