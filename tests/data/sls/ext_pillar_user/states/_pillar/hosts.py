"""External pillar of a user."""

calls = []


def ext_pillar(minion_id, pillar, *args, **kwargs):
    calls.append(minion_id)
    return {
        f"call{len(calls)}": {"args": list(args), "kwargs": kwargs, "before": sorted(pillar)},
        "about": {"id": minion_id, "os": __grains__["os"], "setting": __opts__["mine"]["setting"]},
        "tree": {"over": len(args)},
    }
