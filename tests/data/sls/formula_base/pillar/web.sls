web: {lookup: {conf: {workers: 8}, extra: true}, grain: os}
