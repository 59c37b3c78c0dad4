"""External pillars: each module has a function `ext_pillar(minion_id, pillar, ...)` that returns a mapping."""
