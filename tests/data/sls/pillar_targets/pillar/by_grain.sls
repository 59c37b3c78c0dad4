by_grain: true
